"""Teaching: a small temporal head on the stored features of a project, from people's decisions."""
