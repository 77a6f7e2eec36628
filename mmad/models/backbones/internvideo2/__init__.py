"""InternVideo2."""
