"""One module a command: what the command does, from its arguments to the files it leaves."""
