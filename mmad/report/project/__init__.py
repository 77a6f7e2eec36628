"""What a project says: the quality of a model, and the methods of a study."""
