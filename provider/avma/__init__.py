"""The core of pulumi-avma: Automatic Virtual Machine Activation, and the Windows interfaces that it needs.

It implements licensing, WMI and WS-Management. The Pulumi provider and the `avma` command are front ends of it.
"""
