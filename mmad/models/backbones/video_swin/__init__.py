"""Video Swin."""
