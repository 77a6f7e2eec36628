"""Trained runs in use: what the commands and the Python interface do with a run."""
