"""This process: its signals, its place among the others of a run, its devices, who watches it."""
