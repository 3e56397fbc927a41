"""The core of pulumi-avma: Automatic Virtual Machine Activation, and Windows as far as that needs it.

It knows licensing, WMI and WS-Management. It must not know Pulumi, gRPC or any other front end.
"""
