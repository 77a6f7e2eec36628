"""Predictions of the emotion of a video and of the actions in it, and their metrics."""
