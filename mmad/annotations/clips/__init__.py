"""Clips of one action each: lists, folds, splits and their validation."""
