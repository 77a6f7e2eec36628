"""Feature extraction, and compatibility of stored features with runs."""
