"""Images on disk, cached or drawn, and batches of them."""
