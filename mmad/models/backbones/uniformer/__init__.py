"""UniFormer."""
