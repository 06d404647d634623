"""Data, models, attacks, objectives and the training loop. Knows no terminal, owns no files."""
