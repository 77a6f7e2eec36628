"""Temporal detectors: one folder per family, one contract for all."""
