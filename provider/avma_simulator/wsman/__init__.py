"""The messages of WS-Management: envelopes, faults, CIM instances as XML, and enumerations."""
