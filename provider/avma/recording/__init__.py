"""Recordings of the messages to Windows machines, for users to share: names, addresses and secrets are replaced."""
