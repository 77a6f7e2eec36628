"""MLFE: a classifier, and local features of lower layers around the peaks of its activations."""
