"""Adversarial losses, one a file: plain modules with `discriminator(real, fake)` and `generator(real, fake)`."""
