"""Masked pre-training: the decoder, its targets, and the whole network."""
