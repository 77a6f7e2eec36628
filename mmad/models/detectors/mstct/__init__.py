"""MS-TCT."""
