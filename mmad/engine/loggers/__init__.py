"""Where the log of a training goes beside log.jsonl: CSV files, TensorBoard, W&B, MLflow."""
