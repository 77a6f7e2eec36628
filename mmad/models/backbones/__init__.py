"""Video backbones: one folder per family, one contract for all."""
