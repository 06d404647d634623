"""A grid of configs times seeds, trained by worker processes. Only the workers import torch."""
