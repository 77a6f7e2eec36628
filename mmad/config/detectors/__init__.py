"""Settings of each detector, and their union."""
