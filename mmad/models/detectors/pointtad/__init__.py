"""PointTAD."""
