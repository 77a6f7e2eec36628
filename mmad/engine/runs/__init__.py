"""Run folders: paths, log, loading, import."""
