"""Adversarial losses, one per file. Each is a module with `discriminator(real, fake)` and `generator(real, fake)`.

Logits are (N, ...), or a sequence with one tensor per head; both methods return a scalar.
"""
