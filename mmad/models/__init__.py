"""Torch modules and functions on tensors; no files, and no config objects except in `build`."""
