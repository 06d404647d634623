"""Does it converge? Pure functions from a table of epochs to a verdict: no torch, no files."""
