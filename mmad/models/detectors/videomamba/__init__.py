"""The VideoMamba detector."""
