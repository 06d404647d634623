"""The figures of a report, a function each that returns a matplotlib Figure.

Object API only. Colours and text sizes are style.py's, sizes in inches are layout.py's.
"""
