"""Generators, translators and discriminators, one family per file."""
