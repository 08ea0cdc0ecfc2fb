"""Record files to batches; knows no task by name."""
