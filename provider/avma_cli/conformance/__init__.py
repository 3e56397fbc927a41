"""`avma conformance`: the command, and its output on a terminal."""
