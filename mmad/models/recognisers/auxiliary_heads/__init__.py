"""Primary and auxiliary heads."""
