"""Tables and lists of text."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def aligned(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> list[str]:
    """Return the lines of a table, with columns as wide as needed. Columns with a heading in `right` end aligned."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    return [
        "  ".join(
            text.rjust(width) if heading in right else text.ljust(width)
            for heading, text, width in zip(headings, row, widths, strict=True)
        ).rstrip()
        for row in [headings, *rows]
    ]


def truncated(text: str, limit: int) -> str:
    """Return text of at most `limit` characters. The end of a longer one is omitted."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def first_few(items: Sequence[str], limit: int, separator: str = ", ") -> str:
    """Return the first `limit` items as a list in text, which ends with the number of the others."""
    more = len(items) - limit
    return separator.join(items[:limit]) + (f" and {more:,} more" if more > 0 else "")


def shortened(text: str, limit: int) -> str:
    """Return text of at most `limit` characters. The middle of a longer one is omitted."""
    half = (limit - 3) // 2
    return text if len(text) <= limit else f"{text[: limit - 3 - half]}...{text[len(text) - half :]}"


def counted(number: int, thing: str) -> str:
    """Return a number with its noun, such as "1 run" or "2 runs"."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
