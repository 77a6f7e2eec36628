"""Decoding in a process of its own, so that a video that kills its decoder costs itself alone."""
