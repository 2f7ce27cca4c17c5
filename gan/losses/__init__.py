"""Adversarial losses, one per file. Each is a module with `discriminator(real, fake)` and `generator(real, fake)`."""
