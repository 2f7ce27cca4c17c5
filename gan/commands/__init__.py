"""The commands of `gan`, one per file: they parse options and print results. Other packages have the library code."""
