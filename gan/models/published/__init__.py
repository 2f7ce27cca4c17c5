"""Readers of files with weights that other programs wrote: `read.read` finds the one for a file. No file runs code."""
