"""Color tables that other programs read and write: `.cube` files and HaldCLUT images. No torch."""
