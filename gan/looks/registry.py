"""All filters and looks by name. A look is a named sequence of filters: the ground truth of data=retro_filter.

A filter maps an image (H, W, 3), float32 in 0..1, to an image. Lengths are fractions of the shorter side, so that an
image has the same look at any size, unless a parameter sets them in pixels. Cells of prints and of pixel art are at
least two pixels.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from PIL import Image

from gan.looks import LOOK, color_table, fields, film, is_table, lines, prints, screens
from gan.looks.color_table import ColorTable, table_of
from gan.looks.fields import (
    Filter,
    FloatImage,
    Parameters,
    checked_parameters,
    clipped,
    parameters_of,
    shown,
    split_word,
    to_word,
)
from gan.utils import colors
from gan.utils.errors import UserError, did_you_mean, install

MODULES = (
    fields, film, prints, lines, screens, color_table, colors,
)  # fmt: skip # their source computes the pixels

FILTERS: dict[str, Filter] = {
    function.__name__: function
    for function in (
        film.sepia, film.fade, film.vignette, film.grain, film.film_grain, film.prussian_blue, film.brushed_edge,
        prints.halftone, prints.poster, prints.stencils, prints.drums, prints.ink_texture, lines.engraving,
        lines.woodcut, prints.painting, prints.washes, prints.paper, screens.pixels, screens.scan_lines,
        screens.vhs_signal, screens.vhs_tape,
    )
}  # fmt: skip
MIN_SIDE = 4  # pixels; smaller images are padded, because filters need neighbors


class Style(NamedTuple):
    """A look: what it is, in one line, and its filters in order."""

    about: str
    filters: tuple[str, ...]


STYLES: dict[str, Style] = {
    "film": Style("sepia-toned, faded photograph with dark corners", ("sepia", "fade", "vignette")),
    "grainy_film": Style("film with grain", ("sepia", "fade", "vignette", "grain")),
    "color_film": Style("faded color photograph with the grain of AV1", ("fade", "vignette", "film_grain")),
    "cyanotype": Style("Prussian blue on paper coated by brush", ("prussian_blue", "brushed_edge", "paper")),
    "halftone": Style("four-color print: dots of cyan, magenta, yellow and black", ("halftone",)),
    "poster": Style("flat areas in six inks", ("poster",)),
    "screen_print": Style("stencils in yellow, red, blue and near-black", ("stencils", "ink_texture")),
    "risograph": Style("dots of bright pink, blue and yellow", ("drums", "ink_texture")),
    "engraving": Style("lines that follow the forms, crossed in dark areas", ("engraving",)),
    "woodcut": Style("black areas cut by white gouge marks", ("woodcut",)),
    "painting": Style("oil painting: flat strokes that keep edges", ("painting",)),
    "watercolor": Style("watercolor washes on rough paper", ("washes", "paper")),
    "pixel_art": Style("pixel art in the 16 colors of PICO-8", ("pixels",)),
    "crt": Style("cathode-ray tube: scan lines, columns of red, green and blue, bloom", ("scan_lines",)),
    "vhs": Style("video tape: smeared colors, noise, torn lines", ("vhs_signal", "vhs_tape")),
}


def make_style(style: str | Sequence[str]) -> Callable[[np.ndarray, int], np.ndarray]:
    """Return a function that maps (image uint8 (H, W, 3), seed) to the image in a style, uint8 (H, W, 3).

    Args:
        style: as for `filter_names`.
    """
    steps = []
    for name, own in map(split_word, filter_names(style)):
        function = filter_of(name)
        known = parameters_of(function)  # which make 6.0 an integer where the filter needs one
        steps.append((function, is_random(name), {key: known[key].check(value) for key, value in own.items()}))

    def apply(pixels: np.ndarray, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        height, width = pixels.shape[:2]
        image = pixels.astype(np.float32) / 255
        if min(height, width) < MIN_SIDE:
            missing = [(0, max(0, MIN_SIDE - side)) for side in (height, width)]
            image = np.pad(image, (*missing, (0, 0)), "edge")
        for function, random, own in steps:
            image = function(image, rng, **own) if random else function(image, **own)
        return np.rint(255 * clipped(image[:height, :width])).astype(np.uint8)

    return apply


def filter_names(style: str | Sequence[str], parameters: Parameters | None = None) -> list[str]:
    """Return the filters of a style in order, each with its own parameters, as in `halftone:cell=6`.

    Args:
        style: one of STYLES or FILTERS, one of pilgram's filters, a file with a color table (`.cube`), or a list of
            these, applied in order. Filters may have parameters, as in "film:vignette=0.3".
        parameters: of the filters by name.
    """
    # YAML reads 1977 as a number
    words = [str(style)] if isinstance(style, str | int) else [str(word) for word in style]
    found: list[str] = []
    for word in words:
        name, own = split_word(word)
        parts = STYLES[name].filters if name in STYLES else (name,)
        functions = {each: filter_of(each) for each in parts}
        for part, values in checked_parameters(functions, own, f"{LOOK}{name}").items():
            found.append(to_word(part, values))
    if parameters:
        names = [split_word(word)[0] for word in found]
        more = checked_parameters({each: filter_of(each) for each in names}, parameters, "--set")
        found = [to_word(name, {**own, **more[name]}) for name, own in map(split_word, found)]
    return found


def predictable(style: str | Sequence[str]) -> list[str]:
    """Return the filters of a style that are not random, in order: a translator cannot predict the others."""
    return [word for word in filter_names(style) if not is_random(split_word(word)[0])]


def is_random(name: str) -> bool:
    return "rng" in inspect.signature(filter_of(name)).parameters


def filter_of(name: str) -> Filter:
    """Return a filter by its name; raise UserError if it is unknown."""
    if is_table(name):
        return color_table.table_filter(name)
    return FILTERS.get(name) or pilgram_filter(name)


def pilgram_filter(name: str) -> Filter:
    """Return a filter of the pilgram library, by its name; "1977" is its function _1977."""
    try:
        import pilgram
    except ImportError:
        pilgram = None  # type: ignore[assignment]
    filters = {each.removeprefix("_"): getattr(pilgram, each) for each in getattr(pilgram, "__all__", ())}
    if not callable(filters.get(name)):
        hint = did_you_mean(name, [*STYLES, *FILTERS, *filters], "gan translate --list-looks lists all", n=1)
        needs = "" if pilgram else f"; pilgram's filters, such as 1977, need {install('styles')}"
        raise UserError(f"{LOOK}{name} is not known; {hint}{needs}")

    def apply(image: FloatImage) -> FloatImage:
        filtered = filters[name](Image.fromarray(np.rint(255 * image).astype(np.uint8)))
        return np.asarray(filtered.convert("RGB"), np.float32) / 255

    return apply


def listing() -> str:
    """Return a line for each look, and under it a line for each of its parameters."""
    lines = []
    for name, style in STYLES.items():
        lines.append(f"{name}: {style.about}")
        for each in style.filters:
            for parameter in parameters_of(FILTERS[each]).values():
                limits = f"{shown(parameter.low)} to {shown(parameter.high)}"
                lines.append(f"    {parameter.name}={shown(parameter.default)}  {parameter.help} ({limits})")
    return "\n".join([*lines, f"filters, which can be combined, as in look:fade,grain: {', '.join(FILTERS)}"])


# ---- the color table of a look


def table_of_look(filters: Sequence[str], size: int, title: str = "") -> tuple[ColorTable, list[str]]:
    """Return the table of the filters that change each pixel by its color alone, and the names of the others.

    Args:
        filters: as `filter_names` returns.
        size: entries along each axis.

    Raises:
        UserError: no filter is a function of colors.
    """
    steps, left_out = [], []
    for name, own in map(split_word, filters):
        change = partial(filter_of(name), **own)
        if not is_random(name) and is_pointwise(change):
            steps.append(change)
        else:
            left_out.append(name)
    if not steps:
        raise UserError(f"{','.join(filters)}: is not a function of the color of a pixel, so it has no color table")

    def apply(image: FloatImage) -> FloatImage:
        for step in steps:
            image = clipped(step(image))
        return image

    return table_of(apply, size, title), left_out


def is_pointwise(change: Callable[[FloatImage], FloatImage]) -> bool:
    """Return whether each pixel depends on nothing but the same pixel: permuted pixels give permuted results."""
    rng = np.random.default_rng(0)
    image = rng.random((40, 56, 3), np.float32)
    order = rng.permutation(40 * 56)
    permuted = change(image.reshape(-1, 3)[order].reshape(image.shape)).reshape(-1, 3)
    return bool(np.abs(permuted - change(image).reshape(-1, 3)[order]).max() < 1e-4)
