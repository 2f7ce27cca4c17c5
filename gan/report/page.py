"""Render sections as a page of HTML with the template report.html, and images as small WebP files in it."""

from __future__ import annotations

import base64
import hashlib
import math
import time
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jinja2
from markupsafe import Markup
from PIL import Image

from gan.data.decoding.reader import read_first_frame
from gan.utils.output import one_line

Item = TypeVar("Item")

MAX_PIXELS = 40_000_000  # of a grid
MAX_SIDE = 1024  # pixels of a grid in the page
MIN_SIDE = 128
MAX_LOSSLESS = 300_000  # pixels of a grid that is first tried without loss, which is slow
ENCODINGS = ({"lossless": True}, {"quality": 88}, {"quality": 60})  # the first that is small enough is used


class Block(NamedTuple):
    """A part of a section. The template lists the kinds, each with its content."""

    kind: str
    content: Any


class Section(NamedTuple):
    """A section of a page."""

    id: str  # its name in links
    title: str
    parts: Sequence[Block]
    lead: str = ""  # how to read it


class Header(NamedTuple):
    """The top of a page."""

    kind: str  # what the page is about, above the title
    title: str
    subtitle: str
    tiles: Sequence[tuple[str, str]]  # name and value of the numbers to look at first


@cache
def templates() -> jinja2.Environment:
    """Return the templates. Every text is escaped and in one line, without control characters."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else one_line(value), trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["sha256"] = sha256
    environment.filters["address"] = Markup  # data addresses are made here, and longer than a line may be
    return environment


def render(header: Header, sections: Sequence[Section]) -> bytes:
    """Return a complete page. Its policy lets browsers run only its own script and load nothing from elsewhere."""
    now = time.strftime("%Y-%m-%d %H:%M", time.localtime())
    template = templates().get_template("report.html")
    return template.render(header=header, sections=sections, now=now).encode()


def render_parts(header: Header, sections: Sequence[Section]) -> str:
    """Return the header and the sections alone, for a page with the style sheet `style`."""
    page: Any = templates().get_template("report.html").make_module({"header": header, "sections": sections})
    return f'<div class="report">{page.top(header)}{page.body(sections)}</div>'


def style() -> str:
    return f".report {{ {templates().get_template('report.css').render()} }}".replace(":root", "&")


def sha256(source: str) -> str:
    """Return the name of an inline style sheet or script in a Content-Security-Policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


# ---- images


class Embedded(NamedTuple):
    """An image as the text of a data address."""

    address: str
    width: int
    height: int


def evenly(items: list[Item], count: int) -> list[Item]:
    """Return at most `count` items (at least 2), evenly spaced, with the first and the last."""
    if len(items) <= count:
        return items
    return [items[round(n * (len(items) - 1) / (count - 1))] for n in range(count)]


def embed(path: Path, max_bytes: int) -> Embedded:
    """Return an image file as a WebP of at most about `max_bytes`: lossless if that is small enough.

    Raises:
        ImageError: the file cannot be read, or has too many pixels.
    """
    image = read_first_frame(path, MAX_PIXELS)
    if max(image.size) > MAX_SIDE:
        image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS, reducing_gap=3)
    for options in ENCODINGS[image.width * image.height > MAX_LOSSLESS :]:
        data = encode(image, **options)
        if len(data) <= max_bytes:
            break
    while len(data) > max_bytes and max(image.size) > MIN_SIDE:
        factor = min(0.9, math.sqrt(max_bytes / len(data)))
        image = image.resize([max(1, int(factor * side)) for side in image.size], Image.Resampling.LANCZOS)
        data = encode(image, **options)
    return Embedded("data:image/webp;base64," + base64.b64encode(data).decode(), *image.size)


def encode(image: Image.Image, **options: int) -> bytes:
    file = BytesIO()
    image.save(file, "WEBP", method=3, **options)
    return file.getvalue()
