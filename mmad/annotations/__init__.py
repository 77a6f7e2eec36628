"""One reader and writer per annotation format; statistics and checks of what was read."""
