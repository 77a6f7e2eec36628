"""Work on a corpus, video by video: in shares, in other processes, or on a cluster."""
