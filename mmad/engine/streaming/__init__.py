"""Detection in a stream of frames, whose end is not known."""
