"""Torch modules and functions on tensors: no files, no config objects (but for `build`)."""
