"""What a person sees in a terminal: live tables, charts, verdicts, lists. Imports no torch."""
