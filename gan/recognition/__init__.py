"""Classify images with the features of a GAN's discriminator."""
