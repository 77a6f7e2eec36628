"""Timeline of a video: annotations and detections, a row for each behaviour."""
