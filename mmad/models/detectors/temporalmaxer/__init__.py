"""TemporalMaxer."""
