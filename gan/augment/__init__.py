"""Differentiable augmentations of what the discriminator sees, one a file."""
