"""Classify images with the features that a GAN has learned without labels."""
