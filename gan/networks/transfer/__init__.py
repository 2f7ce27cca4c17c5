"""Closed forms of style transfer: parts that are fitted to two sets of images in seconds, without training."""
