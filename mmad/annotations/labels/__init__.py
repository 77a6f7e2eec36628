"""Label sets of annotations: read from files, chosen, and changed by a table of new names."""
