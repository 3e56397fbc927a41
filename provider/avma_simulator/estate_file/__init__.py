"""The reader of estate files: YAML with line numbers, and the checks between fields."""
