"""Where a sweep's workers run."""
