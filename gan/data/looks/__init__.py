"""Looks: filters for photographs, color tables, and their registry. No NumPy here, because commands start with it."""

LOOK = "look:"  # precedes the name of a look where it is typed


def is_table(name: str) -> bool:
    """Return whether a name, such as that of a style, is the name of a file with a color table."""
    return name.lower().endswith(".cube")
