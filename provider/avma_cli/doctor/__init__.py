"""`avma doctor`: the command, how a diagnosis is shown, and what to type next."""
