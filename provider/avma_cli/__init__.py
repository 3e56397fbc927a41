"""The `avma` command line: a front end for people; each command is a module of its own."""
