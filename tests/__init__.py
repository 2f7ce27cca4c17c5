"""Mirrors gan/. A package, since torch-fidelity installs one of this name."""
