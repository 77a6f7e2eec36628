"""Comparisons with stored outputs of the published codes, by kind of file."""
