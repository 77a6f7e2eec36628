"""Settings of each backbone, and their union."""
