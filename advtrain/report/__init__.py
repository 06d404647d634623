"""The report: runs, sweeps and CSVs to one page, figures for a paper, and tables.

gather (files to entries) -> cells (entries to cells and maps) -> content (every number) -> figures,
tables, page. Imports no torch.
"""
