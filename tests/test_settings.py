"""Values that several surfaces share: one range each, and one sentence, spelled as the surface spells the value."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gan
from gan.cli import main
from gan.settings import CELL, DIRECTION, SEED, STRENGTH, TILE, TRUNCATION, Setting, parse_size
from gan.utils.errors import UserError

HUGE = "99999999999999999999"


def test_each_surface_spells_the_value() -> None:
    said = "give a number from 0 to 2"
    for call, start in (
        (lambda: STRENGTH.parse("3"), "--strength 3"),
        (lambda: STRENGTH.check(3), "strength=3"),
        (lambda: STRENGTH.check(3, "Strength "), "Strength 3"),
    ):
        with pytest.raises(UserError, match=f"^{start}: {said}$"):
            call()
    assert not STRENGTH.allows(3)


@pytest.mark.parametrize(
    ("setting", "allowed", "refused"),
    [
        (STRENGTH, [0, 0.5, 2, np.float32(0.25)], [-0.1, 2.1, float("nan"), True, "a", "0.5", None, [1]]),
        (TILE, [64, 1000, 128.0, None, np.int64(64)], [3, -5, 1.5, 64.5, True, "64", 1 << 20]),
        (SEED, [0, 2**63 - 1], [-1, 2**63, int(HUGE), 1.5, False, None]),
        (CELL, [1, 8, "auto"], [0, 70_000, "aut", 2.5, True]),
        (DIRECTION, ["a2b", "b2a"], ["c", 1, None, True]),
        (TRUNCATION, [0, 0.7, -2], [float("inf"), float("nan"), 1e9, "1"]),
    ],
    ids=lambda value: value.name if isinstance(value, Setting) else "",
)
def test_values_are_refused_by_type_and_range(setting: Setting, allowed: list[object], refused: list[object]) -> None:
    assert [setting.check(value) for value in allowed] == allowed
    for value in refused:
        with pytest.raises(UserError, match=f"^{setting.name}="):
            setting.check(value)


def test_an_image_never_gets_a_record_that_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("a.png")
    assert main(["translate", "look:grain", "a.png", "b.png", "--seed", HUGE]) == 2
    assert capsys.readouterr().err == f"error: --seed {HUGE}: give a whole number from 0 to 2^63-1\n"
    assert main(["translate", "look:grain", "a.png", "b.png", "--seed", str(2**63 - 1), "--cell", "auto"]) == 0
    record = gan.origin("b.png")
    assert record and record["seed"] == 2**63 - 1 and record["cell"] == "auto"


def test_sizes_are_read_as_written() -> None:
    assert parse_size("64") == (64, 64) and parse_size("96x64") == (96, 64)
    for text in ("", "x", "0", "96x", "1x2x3", "-4", "99999999"):
        with pytest.raises(UserError, match="--size"):
            parse_size(text)
