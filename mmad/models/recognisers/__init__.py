"""Recognisers of clips: one folder a family, one contract for all."""
