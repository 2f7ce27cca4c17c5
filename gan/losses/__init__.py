"""Adversarial losses, one per file: modules with `discriminator(real, fake)` and `generator(real, fake)`."""
