"""The Python interface; its public names are those of ``mmad``."""
