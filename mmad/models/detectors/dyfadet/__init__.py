"""DyFADet."""
