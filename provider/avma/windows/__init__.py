"""Typed queries and commands for Windows: its version, its licensing and its virtual machines."""
