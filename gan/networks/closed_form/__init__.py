"""Style transfer in closed form: maps of color and position, grain, and carriers, fitted to two sets of images."""
