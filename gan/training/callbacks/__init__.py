"""What happens beside training: pictures, scores, checkpoints, progress, signals."""
