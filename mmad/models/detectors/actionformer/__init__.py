"""ActionFormer."""
