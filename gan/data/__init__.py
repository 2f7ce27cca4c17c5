"""Sources of images (files, downloads, built-in images), the cache of decoded images, and batches."""
