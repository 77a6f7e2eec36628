"""The local page on which people decide about detections."""
