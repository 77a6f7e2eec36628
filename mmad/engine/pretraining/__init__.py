"""Masked pre-training: its task, its linear probe, its reconstructions."""
