"""BORIS: projects (read, written, added to) and exported tables."""
