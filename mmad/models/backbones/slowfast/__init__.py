"""SlowFast."""
