"""What is measured of a model after an epoch, and the sums over the epoch."""
