"""Every number of a report: over seeds, differences, counts, stronger attacks."""
