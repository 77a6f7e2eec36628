"""TadTR."""
