"""Stored features: files, folders, manifests, windows."""
