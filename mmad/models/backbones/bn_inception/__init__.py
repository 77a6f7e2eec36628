"""BN-Inception."""
