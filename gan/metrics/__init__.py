"""Distances over feature matrices, and the networks that give the features."""
