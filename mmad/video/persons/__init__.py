"""Persons in videos: their boxes, from a detector that the user fetches."""
