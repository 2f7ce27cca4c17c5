"""Metrics on features and on images, and the networks that compute the features."""
