"""Weights of any project: read, renamed, loaded with every key accounted for, exported."""
