"""Temporal detectors: one folder a family, one contract for all."""
