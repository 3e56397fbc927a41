"""The `avma` command line, with one module or package per command."""
