"""The estate file: its fields, the checks between them, and its reader."""
