"""Every setting of a run, typed, each with its unit and meaning; one file per part."""
