"""README is short and starts with the two commands. test_docs.py runs its commands."""

from __future__ import annotations

import re

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_two_commands_stand_at_the_top() -> None:
    first, second = (line for line in README.splitlines() if line.startswith("python3"))
    assert first.endswith(".venv/bin/pip install -e . && .venv/bin/gan generate zoo:tiles32 --seeds 0-63 --grid")
    assert second.endswith(".venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest")
    assert README.index(first) < README.index(second) < README.index("\n## Quick start")


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 200
    assert len(README.split()) <= 2200


def test_every_recipe_is_listed() -> None:
    table = README[README.index("\n## Recipes") : README.index("\n## Resume")]
    rows = {name for row in re.findall(r"^\| (`.*?) \|", table, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert rows == {path.stem for path in (ROOT / "conf" / "model").glob("*.yaml")}


def test_images_are_small() -> None:
    assert all(image.stat().st_size < 300_000 for image in (ROOT / "docs" / "images").iterdir())
