"""Build HTML from Python values. Text is escaped unless it is `Html`, and every tag is closed."""

from __future__ import annotations

import html
from typing import Any

from gan.common.output import one_line, shortened

VOID = frozenset(("br", "hr", "img", "input", "link", "meta"))
MAX_TEXT = 400  # characters of one piece of text
Content = Any  # Html, or a value that becomes escaped text; lists and None are flattened


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: object, limit: int = MAX_TEXT) -> Html:
    """Return a value as escaped text in one line, without control characters. The middle of a long one is omitted."""
    return Html(html.escape(one_line(shortened(str(value), limit))))


def block(value: str) -> Html:
    """Return text of several lines as escaped text."""
    return Html("\n".join(html.escape(one_line(line)) for line in value.splitlines()))


def join(*content: Content) -> Html:
    """Return content as HTML, one piece after the other."""
    parts: list[str] = []
    for each in content:
        if isinstance(each, list | tuple):
            parts.append(join(*each))
        elif each is not None:
            parts.append(each if isinstance(each, Html) else text(each))
    return Html("".join(parts))


def tag(name: str, /, *content: Content, **attributes: object) -> Html:
    """Return an element. `class_` is the attribute class; other underscores become hyphens; None and False are omitted.

    The attribute of a value of True has no value. Attributes are escaped and, unlike text, never shortened.
    """
    words = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        words.append(
            key if value is True else f'{key}="{value if isinstance(value, Html) else html.escape(str(value))}"'
        )
    if name in VOID:
        return Html(f"<{' '.join(words)}>")
    return Html(f"<{' '.join(words)}>{join(*content)}</{name}>")


def table(headings: list[Content], rows: list[list[Content]], left: int = 1) -> Html:
    """Return a table that scrolls sideways if it is too wide. The first column has the names of the rows.

    Args:
        left: number of columns of text, which come first; those of numbers end aligned.
    """

    def side(column: int) -> str | None:
        return None if column < left else "n"

    head = [tag("th", each, scope="col", class_=side(n)) for n, each in enumerate(headings)]
    body = [
        tag(
            "tr", tag("th", row[0], scope="row"), [tag("td", each, class_=side(n)) for n, each in enumerate(row[1:], 1)]
        )
        for row in rows
    ]
    return tag("div", tag("table", tag("thead", tag("tr", head)), tag("tbody", body)), class_="wide")


def pairs(rows: list[tuple[Content, Content]]) -> Html:
    """Return a list of names with values."""
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in rows])


def tiles(rows: list[tuple[Content, Content]]) -> Html:
    """Return the numbers to look at first, as large text with a name below."""
    kinds = ["words" if not isinstance(value, Html) and len(str(value)) > 9 else None for _, value in rows]
    shown = [tag("div", tag("dt", name), tag("dd", value, class_=kind))
             for (name, value), kind in zip(rows, kinds, strict=True)]  # fmt: skip
    return tag("dl", shown, class_="tiles")


def note(*content: Content) -> Html:
    return tag("p", *content, class_="note")


def lead(*content: Content) -> Html:
    """Return the sentence below a heading that says how to read a section."""
    return tag("p", *content, class_="lead")


def section(name: str, title: str, *content: Content) -> Html:
    """Return a section with a heading; `name` is its id."""
    return tag("section", tag("h2", title), *content, id=name)
