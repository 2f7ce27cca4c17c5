"""Pixel art: its cells, palettes and dithering."""
