"""Faces in videos: their boxes, from a file or a detector, one face followed through a video."""
