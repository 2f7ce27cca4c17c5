"""Images on disk, in a cache or drawn, and the batches made of them."""
