"""V-JEPA 2."""
