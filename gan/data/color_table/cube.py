"""Read and write `.cube` files: Adobe, "Cube LUT Specification", version 1.0, 2013.

The variant of DaVinci Resolve, which puts curves before the table, is read as well.
"""

from __future__ import annotations

import io
import math
import re
from array import array
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gan.common.errors import UserError, reason
from gan.common.names import one_line
from gan.common.untrusted import read_bytes
from gan.data.color_table.table import (
    MAX_CURVE,
    MAX_SIZE,
    MAX_VALUE,
    MIN_CURVE,
    MIN_RANGE,
    MIN_SIZE,
    ColorTable,
    Domain,
)

MAX_BYTES = 128 << 20  # of a file; a table of MAX_SIZE with seven digits has 84 MB
MAX_LINE = 250  # bytes, by the specification
MAX_CELL = 2  # distance of two entries, in units of the range of an image
MAX_WHITE = 0.5  # fraction of numbers above 1 from which a table is refused
MAX_TITLE = 200  # characters
SIZES = {"LUT_1D_SIZE": (MIN_CURVE, MAX_CURVE), "LUT_3D_SIZE": (MIN_SIZE, MAX_SIZE)}
LIMITS = {"DOMAIN_MIN": 3, "DOMAIN_MAX": 3, "LUT_1D_INPUT_RANGE": 2, "LUT_3D_INPUT_RANGE": 2}  # numbers after each
KEYWORDS = ("TITLE", *SIZES, *LIMITS)


class LineError(Exception):
    """What is wrong with a line of a file."""


def read(path: Path) -> ColorTable:
    """Return the table of a file.

    Raises:
        UserError: the file cannot be read, is too large or is not a `.cube` file, and the message names the line;
            or the unit of the table is not 0 to 1, so that most colors would become the same.
    """
    try:
        data = read_bytes(path, MAX_BYTES)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({reason(error)})") from error
    except ValueError as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    return parse(data, str(path))


def parse(data: bytes, name: str) -> ColorTable:
    """Return the table of the content of a file. `name` is for messages; raise UserError as `read`."""
    reader, number = Reader(), 0
    lines = io.BytesIO(data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    try:
        for line in lines:
            number += 1
            reader.take(line.strip())
    except LineError as error:
        raise UserError(f"{name}, line {number}: {error}") from None
    try:
        return reader.table()
    except LineError as error:
        raise UserError(f"{name}: {error}") from None


class Reader:
    """Takes the lines of a file one after another, and then returns its table."""

    def __init__(self) -> None:
        self.title = ""
        self.sizes: dict[str, int] = {}
        self.limits: dict[str, list[float]] = {}
        self.values = array("f")
        self.expected = 0  # number of values

    def take(self, line: bytes) -> None:
        """Take a line without spaces around it.

        Raises:
            LineError: the line is not valid.
        """
        if not line or line.startswith(b"#"):
            return
        if line.startswith(b"TITLE"):
            text = line.decode("utf-8", "replace").removeprefix("TITLE").strip()
            self.title = one_line(text.strip('"'))[:MAX_TITLE]
            return
        if len(line) > MAX_LINE:
            raise LineError(f"{len(line)} characters are more than {MAX_LINE}")
        if line[:1].isalpha():
            word, *rest = line.decode("ascii", "replace").split()
            if word.lower() not in ("nan", "inf"):
                return self.take_keyword(word, rest)
        self.take_row(line)

    def take_keyword(self, word: str, rest: list[str]) -> None:
        if word not in KEYWORDS:
            if word.upper() in KEYWORDS:
                raise LineError(f"{word}: write {word.upper()}")
            raise LineError(f"{one_line(word)} is not known; a .cube file has numbers, comments, {', '.join(KEYWORDS)}")
        if self.values:
            raise LineError(f"{word} must come before the numbers")
        if word in self.sizes or word in self.limits:
            raise LineError(f"{word} is given twice")
        if word in LIMITS:
            self.limits[word] = numbers([text.encode() for text in rest], LIMITS[word], f"{word} takes")
            return
        low, high = SIZES[word]
        size = int(rest[0]) if len(rest) == 1 and re.fullmatch(r"[0-9]{1,6}", rest[0]) else 0
        if not low <= size <= high:
            raise LineError(f"{word} {one_line(' '.join(rest))}: give a size from {low} to {high}")
        self.sizes[word] = size
        self.expected += 3 * size ** (1 if word == "LUT_1D_SIZE" else 3)

    def take_row(self, line: bytes) -> None:
        if not self.sizes:
            raise LineError("LUT_3D_SIZE or LUT_1D_SIZE is missing before the first row of numbers")
        if len(self.values) == self.expected:
            raise LineError(f"more than {self.expected // 3:,} rows of numbers, which {self.said_sizes()} needs")
        self.values.extend(numbers(line.split(), 3, "a row has"))

    def table(self) -> ColorTable:
        """Return the table of all lines; raise LineError if they are too few."""
        if not self.sizes:
            raise LineError("is not a .cube file: it has no LUT_3D_SIZE and no LUT_1D_SIZE")
        if len(self.values) < self.expected:
            rows = f"{len(self.values) // 3:,} of {self.expected // 3:,} rows of numbers"
            raise LineError(f"has {rows}, which {self.said_sizes()} needs; the file may be cut off")
        values = np.array(self.values, np.float32).reshape(-1, 3)
        count, size = self.sizes.get("LUT_1D_SIZE", 0), self.sizes.get("LUT_3D_SIZE", 0)
        first = self.domain("LUT_1D_INPUT_RANGE" if count else "LUT_3D_INPUT_RANGE", shared=True)
        second = self.domain("LUT_3D_INPUT_RANGE") if count else first
        curves = values[:count] if count else None
        colors = values[count:].reshape(size, size, size, 3) if size else None
        if (values[count if size else 0 :] > 1).mean() >= MAX_WHITE:
            raise LineError("most of its numbers are above 1, which is white; if the maximum is 255, divide them by it")
        if min(np.subtract(first[1], first[0])) > MAX_CELL * ((count or size) - 1):
            raise LineError("its domain is so wide that all colors of an image, 0 to 1, lie between two entries")
        return ColorTable(colors, curves, second, first, self.title)

    def domain(self, name: str, shared: bool = False) -> Domain:
        """Return the domain of the curves or of the table. DOMAIN_MIN and DOMAIN_MAX are those of the first of them."""
        low, high = self.limits.get(name, [0.0, 1.0])
        lows = self.limits.get("DOMAIN_MIN", 3 * [low]) if shared else 3 * [low]
        highs = self.limits.get("DOMAIN_MAX", 3 * [high]) if shared else 3 * [high]
        if any(above - below < MIN_RANGE for below, above in zip(lows, highs, strict=True)):
            names = "DOMAIN_MIN and DOMAIN_MAX" if shared and name not in self.limits else name
            raise LineError(f"{names}: each upper limit must be above the lower one, by at least {MIN_RANGE}")
        return tuple(lows), tuple(highs)

    def said_sizes(self) -> str:
        return " with ".join(f"{name} {size}" for name, size in self.sizes.items())


def numbers(words: list[bytes], count: int, who: str) -> list[float]:
    """Return the numbers that words contain; raise LineError if they are not `count` numbers within MAX_VALUE."""
    try:
        found = [float(word) for word in words]
    except ValueError:
        found = []
    if len(found) != count or any(b"_" in word for word in words):
        text = one_line(b" ".join(words).decode("ascii", "replace"))
        raise LineError(f"{who} {count} numbers, not '{text}'")
    for value in found:
        if not math.isfinite(value) or abs(value) > MAX_VALUE:
            raise LineError(f"{value} is not a number from {-MAX_VALUE:g} to {MAX_VALUE:g}")
    return found


def encode(table: ColorTable, comments: Sequence[str] = ()) -> bytes:
    """Return the content of a file of a table of three axes on the domain 0..1.

    Args:
        comments: lines at the start of the file, without "#".
    """
    assert table.colors is not None and table.curves is None
    title = one_line(table.title).replace('"', "'")[:MAX_TITLE]
    head = [f"# {one_line(each)}"[:MAX_LINE] for each in comments]
    head += [f'TITLE "{title}"', f"LUT_3D_SIZE {len(table.colors)}"]
    head += ["DOMAIN_MIN 0.0 0.0 0.0", "DOMAIN_MAX 1.0 1.0 1.0", ""]
    rows = (f"{red:.6f} {green:.6f} {blue:.6f}" for red, green, blue in table.colors.reshape(-1, 3).tolist())
    return ("\n".join([*head, *rows]) + "\n").encode()
