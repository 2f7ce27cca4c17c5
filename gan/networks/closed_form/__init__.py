"""Style transfer without training: color maps, grain, carriers, flow lines and inks, fitted to two sets of images."""
