"""Figures of pre-training."""
