"""One run on several processes: what they share, and batch norm over all of them."""
