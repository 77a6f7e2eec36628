"""Settings of a run: typed, each with its unit and meaning."""
