"""Attacks: PGD for training and measuring, stronger ones for evaluation, signs of false safety."""
