"""`avma report`: the command, its sources, and one module per output format."""
