"""Data loading: windows, frames, augmentation, batches."""
