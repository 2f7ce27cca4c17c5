"""Penalties: terms added to the loss of the discriminator or of the generator, one per file."""
