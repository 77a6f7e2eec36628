"""TriDet."""
