"""Looks for photographs: filters without a network, one idea per file, and their registry."""
