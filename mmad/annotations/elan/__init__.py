"""ELAN files: tiers of a person, tiers of the model, and the two in one file."""
