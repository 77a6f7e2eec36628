"""What a blind share says: how often a model is wrong, and numbers corrected for it."""
