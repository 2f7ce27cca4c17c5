"""Image sources (files, downloads, generated), the cache, and batches."""
