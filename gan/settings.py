"""Values that commands, Python, the page and records share. Each is declared and checked here, and nowhere else.

A surface spells the name of a value as its users see it, and adds the reason:

    STRENGTH.parse("3")              --strength 3: give a number from 0 to 2     an option of a command
    STRENGTH.check(3)                strength=3: give a number from 0 to 2       an argument in Python
    STRENGTH.check(3, "Strength ")   Strength 3: give a number from 0 to 2       a control of the page
    STRENGTH.allows(3)               False                                       a field of a record

No torch, because commands check their options before they import it.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from gan.utils.colors import DITHERS
from gan.utils.errors import UserError, did_you_mean, shown

MAX_SEED = 2**63 - 1
MAX_SEEDS = 10_000_000  # in one list
MAX_SIDE = 1 << 16  # pixels; about the largest side of most image formats
MAX_SHOWN = 80  # characters of a wrong value in a message
MODES = {1: "gray", 3: "RGB", 4: "RGBA"}  # of images, by the number of channels
IMAGE_PATHS = ("root", "a", "b")  # options of data that are folders or archives of images
DATA_PATHS = (*IMAGE_PATHS, "labels", "name", "style")  # and those that may be other paths to read
GROUPINGS = ("file", "folder", "prefix", "content")  # how images are held out, see `gan.data.split`
COLOR_MAPS = ("linear", "histogram", "transport", "flexible_transport")  # see `gan.networks.closed_form.fit`
POSITIONS = ("none", "radial")  # what a color map adds to the map of colors
# Identifiers that the Hub accepts, see https://huggingface.co/docs/hub/repositories-licenses, August 2026. With FREE or
# CREDIT behind it, models that start from weights under the license may have others, see `permits`.
LICENSES = dict(
    line.partition(" ")[::2] for line in Path(__file__).with_name("licenses.txt").read_text("utf-8").splitlines()
)
FREE, CREDIT = "free", "credit"  # any license; any that is not FREE, if the card names the start


@dataclass(frozen=True)
class Setting:
    """A number within limits, or one of several words, or both.

    Args:
        name: of the option, of the argument in Python, and of the field in a record.
        help: one line for `gan COMMAND --help`.
        default: None stands for a value that the program chooses. Then None is allowed.
        low, high: limits of a number, inclusive; None if only words are allowed.
        whole: whether the number is an integer.
        words: allowed words.
        unit: of the number, for messages.
        metavar: for the help of commands.
    """

    name: str
    help: str = ""
    default: Any = None
    low: float | None = None
    high: float | None = None
    whole: bool = False
    words: tuple[str, ...] = ()
    unit: str = ""
    metavar: str | None = None

    def allows(self, value: object) -> bool:
        """Return whether a value has the right type and is within the limits."""
        if isinstance(value, str):
            return value in self.words
        if self.low is None or self.high is None or isinstance(value, bool):
            return False
        return isinstance(value, Integral if self.whole else Real) and self.low <= value <= self.high  # type: ignore[operator]

    def check(self, value: object, where: str | None = None) -> Any:
        """Return a value, with an integer instead of 3.0 if the setting is an integer.

        Args:
            where: what precedes the value in a message; the default is that of an argument in Python: `strength=`.

        Raises:
            UserError: the value is not allowed.
        """
        if self.whole and isinstance(value, float) and value.is_integer():
            value = int(value)
        if self.allows(value) or (value is None and self.default is None):
            return value
        where = f"{self.name}=" if where is None else where
        raise UserError(f"{where}{shown(value)[:MAX_SHOWN]}: {self.advice(str(value))}")

    def parse(self, text: str) -> Any:
        """Return the value of an option as it is typed; raise UserError as `check`."""
        if text in self.words:
            return text
        value: Any = None
        with suppress(ValueError):
            value = int(text) if self.whole else float(text)
        if not self.allows(value):
            raise UserError(f"--{self.name} {text[:MAX_SHOWN]}: {self.advice(text)}")
        return value

    def advice(self, value: str) -> str:
        """Return what to give instead of a wrong value."""
        if self.low is None or self.high is None:
            return did_you_mean(value[:MAX_SHOWN], self.words)
        number = f"a {'whole ' * self.whole}number from {limit(self.low)} to {limit(self.high)}{self.unit}"
        return f"give {' or '.join([number, *self.words])}"

    def within(self, low: float | None = None, high: float | None = None) -> Setting:
        """Return the setting with narrower limits, as the page has them."""
        return replace(self, low=self.low if low is None else low, high=self.high if high is None else high)

    def add_to(self, parser: Any, **changed: Any) -> None:
        """Add the option to a parser of argparse. `changed` replaces what `add_argument` gets."""
        options: dict[str, Any] = {"default": self.default, "help": self.help, "metavar": self.metavar}
        options |= {"choices": self.words} if self.low is None else {"type": self.parse}
        parser.add_argument(f"--{self.name}", **(options | changed))


def limit(number: float) -> str:
    return "2^63-1" if number == MAX_SEED else f"{number:,}"


STRENGTH = Setting("strength", "blend input and translation: 0 is the input, 1 the translation, 2 twice the change "
                   "(default: %(default)s)", 1.0, 0, 2)  # fmt: skip
TRUNCATION = Setting("truncation", "truncation in w: below 1, images are more typical and less varied (default: "
                     "%(default)s)", 1.0, -1000, 1000, metavar="PSI")  # fmt: skip
TILE = Setting("tile", "side of the tiles of large images; tiles join without seams (default: as large as memory "
               "allows)", None, 64, MAX_SIDE, whole=True, unit=" pixels", metavar="PIXELS")  # fmt: skip
CELL = Setting("cell", "pixel art: side of the cells of one color; auto: the cells of an input that is enlarged pixel "
               "art (default: %(default)s)", 1, 1, MAX_SIDE - 1, whole=True, words=("auto",), unit=" pixels",
               metavar="PIXELS")  # fmt: skip
SEED = Setting("seed", "seed of the grain and noise of a look (default: 0)", 0, 0, MAX_SEED, whole=True)
DIRECTION = Setting("direction", "b2a translates from the target style to photographs, with model=cyclegan only "
                    "(default: %(default)s)", "a2b", words=("a2b", "b2a"))  # fmt: skip
DITHER = Setting("dither", "dithering with the colors of --palette (default: %(default)s)", "none", words=DITHERS)
AUTOCONTRAST = Setting("autocontrast", "stretch the lightness of each image before it gets the colors of --palette; "
                       "auto: for palettes of one hue, such as gameboy (default: %(default)s)", "auto",
                       words=("auto", "on", "off"))  # fmt: skip
FRAMES = Setting("frames", "frames from one image to the next (default: %(default)s)", 30, 1, 1 << 16, whole=True)
FPS = Setting("fps", "frames per second (default: %(default)s)", 25, 0.1, 1000)
SCALE = Setting("scale", "factor that enlarges pixels (default: %(default)s)", 1, 1, 64, whole=True)
TILED = Setting("tiled", "repeat each image N x N times (default: %(default)s)", 1, 1, 64, whole=True, metavar="N")
BLEND = Setting("weight", "interpolate these layers from A (0) to B (1); above 1 exaggerates the difference (default: "
                "%(default)s)", 1, -1000, 1000, metavar="W")  # fmt: skip
LAYERS = Setting("layers", "use the layers of B that compute a grid of at least K cells in height, such as 16 "
                 "(default: all layers, see --weight)", None, 1, MAX_SIDE, whole=True, metavar="K")  # fmt: skip
SOFT = Setting("soft", "change from A to B over the D doublings of the grid below K (default: %(default)s)", 0, 0, 16,
               metavar="D")  # fmt: skip
SIDE = Setting("size", "side of an image", None, 1, MAX_SIDE, whole=True, unit=" pixels")


def add_size(parser: Any, help: str, meaning: str = "%(default)s", default: str | None = None) -> None:
    """Add --size, which is (height, width); `meaning` describes the default in the help."""
    help = f"{help}, as in 64 or 96x64 (height x width; default: {meaning})"
    parser.add_argument("--size", metavar="SIZE", type=parse_size, default=default, help=help)


def parse_size(text: str, option: str = "--size") -> tuple[int, int]:
    """Return the (height, width) of an option, such as "64" or "96x64"."""
    sides = [int(side) for side in text.lower().split("x") if re.fullmatch(r"\d{1,9}", side, re.ASCII)]
    if len(sides) != len(text.split("x")) or len(sides) not in (1, 2) or not all(map(SIDE.allows, sides)):
        raise UserError(f"{option} {text}: give one side or height x width in pixels, as in 64 or 96x64")
    return sides[0], sides[-1]


def parse_seeds(text: str, where: str = "--seeds", most: int = MAX_SEEDS, twice: bool = False) -> list[int]:
    """Return seeds as users type them, each once: "0-3,42,1" -> [0, 1, 2, 3, 42].

    Args:
        where: the option or control in messages.
        twice: whether seeds are kept that are given twice.

    Raises:
        UserError: the text is not a list of seeds, or has more than `most`.
    """
    seeds: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,25})(?:-(\d{1,25}))?\s*", part)
        if not found:
            raise UserError(f"{where} {text}: {part!r} is neither a whole number nor a range; write 0-15,42")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise UserError(f"{where} {text}: the range {part!r} is empty; write the smaller seed first")
        SEED.check(last, f"{where} {text}: ")
        if len(seeds) + last - first >= most:  # before they take memory
            raise UserError(f"{where} {text}: too many seeds; give at most {most:,}")
        seeds += range(first, last + 1)
    return seeds if twice else list(dict.fromkeys(seeds))


def permits(start: str, license: str) -> bool:
    """Return whether a model that started from weights under one license may be shared under another."""
    kind = LICENSES.get(start, "")
    return start == license or kind == FREE or (kind == CREDIT and LICENSES.get(license) != FREE)


def parse_license(text: str, where: str = "--license ") -> str:
    """Return a license in lower case; raise UserError if it is none of LICENSES."""
    if text.lower() in LICENSES:
        return text.lower()
    hint = did_you_mean(text, LICENSES, "see https://huggingface.co/docs/hub/repositories-licenses.")
    raise UserError(f"{where}{text[:MAX_SHOWN]}: the Hugging Face Hub has no such license; {hint} Otherwise give other")
