"""Terms added to the discriminator's or the generator's loss, one a file."""
