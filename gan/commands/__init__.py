"""The commands of `gan`, one per file: options in, text out. The library code is elsewhere in gan."""
