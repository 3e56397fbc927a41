"""Typed questions and commands to Windows: its version, its licensing, its virtual machines."""
