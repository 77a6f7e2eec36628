"""From records to batches: windows, frames, random changes, packing."""
