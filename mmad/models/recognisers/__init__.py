"""Recognisers of clips: one folder per family, one contract for all."""
