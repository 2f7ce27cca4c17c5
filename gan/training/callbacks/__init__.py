"""Callbacks: samples, scores, checkpoints, progress, signals."""
