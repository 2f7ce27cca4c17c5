"""Sharing: where images come from, and how to make them again."""
