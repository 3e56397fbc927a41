"""WS-Management: CIM operations as SOAP messages over WinRM."""
