"""One thin file per command: parse, load, one call, print."""
