"""What a report is about: runs, sweeps and CSVs, read once, and the cells they make."""
