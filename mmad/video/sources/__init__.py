"""Frames that are not in a video file: in memory, and from a camera."""
