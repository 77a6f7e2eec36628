"""Clips of one action each: their lists, folds and splits, and what is wrong with them."""
