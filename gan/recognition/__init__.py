"""Recognizing what images show with what a GAN has learned from them without labels."""
