"""What detectors with a prediction at every point have in common."""
