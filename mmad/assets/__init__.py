"""Weights that ship with the package; docs/weights.md says what they are."""
