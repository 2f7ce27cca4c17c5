"""Parameters of looks: words, ranges, messages."""

import numpy as np
import pytest

from gan.data.builtin.retro import draw
from gan.data.looks.fields import parameters_of
from gan.data.looks.registry import FILTERS, filter_names, listing, make_style
from gan.utils.errors import UserError


def test_parameters_go_to_the_filters_that_have_them() -> None:
    assert filter_names("film:vignette=0.3") == ["sepia", "fade", "vignette:vignette=0.3"]
    assert filter_names("film", {"vignette": 0.3, "fade": 0}) == ["sepia", "fade:fade=0", "vignette:vignette=0.3"]
    assert filter_names(["halftone:cell=6", "pixels"], {"cell": 8}) == ["halftone:cell=8", "pixels:cell=8"]
    assert filter_names(filter_names("halftone", {"cell": 6.5, "angle": -10})) == ["halftone:cell=6.5:angle=-10"]
    assert filter_names("halftone", {"cell": 0, "angle": 0.0}) == ["halftone"]  # the defaults


@pytest.mark.parametrize(
    ("style", "settings", "message"),
    [
        (
            "film",
            {"vignete": 1},
            r"--set vignete: there is no such parameter; did you mean vignette\? the parameters ",
        ),
        ("film", {"fade": 1.5}, "--set fade=1.5: give a number from 0 to 1"),
        ("poster", {"inks": 2.5}, "--set inks=2.5: give a whole number from 2 to 6"),
        ("halftone:cell=inf", {}, "halftone:cell=inf: write NAME=VALUE"),
    ],
)
def test_wrong_parameters(style: str, settings: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        filter_names(style, settings)


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "woodcut")) for n in FILTERS])
def test_each_parameter_changes_the_image(name: str) -> None:
    image = draw(0, 2, 48, 64)
    before = make_style(name)(image, 0)
    for parameter, about in parameters_of(FILTERS[name]).items():
        assert about.low <= about.default <= about.high and about.about
        for value in (about.low, about.high):
            if value != about.default:
                after = make_style(filter_names(name, {parameter: value}))(image, 0)
                assert after.shape == before.shape and not np.array_equal(after, before), (parameter, value)
        explicit = make_style(filter_names(name, {parameter: about.default}))
        assert np.array_equal(explicit(image, 0), before)


def test_a_filter_has_each_of_its_parameters_in_the_listing() -> None:
    lines = listing().splitlines()
    assert "halftone: four-color print: dots of cyan, magenta, yellow and black" in lines
    assert sum(line.startswith("    vignette=0.55  light that the corners lose (0 to 1)") for line in lines) == 3
