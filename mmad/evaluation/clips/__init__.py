"""Recognised clips: guesses, scores and details, how good they are, and ensembles of them."""
