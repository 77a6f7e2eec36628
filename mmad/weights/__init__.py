"""Weights of other projects: read, renamed, loaded with every key accounted for, exported."""
