"""Augmentations of real and generated images before the discriminator, one per file."""
