"""Video backbones: one folder a family, one contract for all."""
