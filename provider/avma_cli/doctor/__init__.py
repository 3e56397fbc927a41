"""`avma doctor`: the command, its output formats, and the command to run next."""
