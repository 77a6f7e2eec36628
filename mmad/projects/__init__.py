"""Projects: the videos of a study, what a model found in them, and what people decided."""
