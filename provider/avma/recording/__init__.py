"""Recordings of what was said to Windows machines, fit to be handed to others: who and where is replaced."""
