"""WS-Management: CIM operations as SOAP messages over WinRM. It knows no licensing and no Hyper-V."""
