"""What all tasks share: objects as points, their heatmaps, and what a task must say."""
