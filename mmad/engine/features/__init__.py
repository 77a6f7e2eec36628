"""Extraction of features, and which stored features a run can use."""
