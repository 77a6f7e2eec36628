"""Settings of each recogniser, and their union."""
