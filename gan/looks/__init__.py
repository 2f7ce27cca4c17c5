"""Looks: filters for photographs, color tables, and their registry. No NumPy here, because commands start with it."""

LOOK = "look:"  # precedes the name of a look where it is typed


def is_table(name: str) -> bool:
    """Return whether a name, such as that of a style, is the name of a file with a color table."""
    return name.lower().endswith(".cube")


def names_look(text: str) -> bool:
    """Return whether text names a look, as in look:film, or a file with a color table, which is a look."""
    return text.startswith(LOOK) or is_table(text)
