"""Shared parts of dense detectors, which predict at every point."""
