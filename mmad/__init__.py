"""Micro-action detection and recognition in videos."""

__version__ = "0.1.0"
