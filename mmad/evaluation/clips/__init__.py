"""Recognised clips: files of predictions, scores and details, evaluation, ensembles."""
