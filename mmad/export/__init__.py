"""Trained networks as single files for other runtimes, and such files as networks."""
