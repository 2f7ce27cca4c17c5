"""What was found stays, until it is done, and is of the same options and contents alone."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from gan.commands.resumable import Findings


def test_what_was_found_is_not_found_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[str] = []

    def find() -> list[float]:
        asked.append("")
        return [0.1, 1 / 3]

    first = Findings(tmp_path, Namespace(images=3, force=False))
    assert not first.begun and first.take("a", find) == first.take("a", find) and len(asked) == 1
    again = Findings(tmp_path, Namespace(images=3, force=True))
    assert again.begun and again.take("a", find) == [0.1, 1 / 3] and len(asked) == 1
    assert capsys.readouterr().out == "going on with 1 of what was found before\n"
    again.done()
    assert not Findings(tmp_path, Namespace(images=3)).values and not list(tmp_path.iterdir())


def test_what_was_found_with_others_lies_apart(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.write_bytes(b"a")
    Findings(tmp_path, Namespace(images=3), "network", weights).write()
    assert Findings(tmp_path, Namespace(images=3), "network", weights).begun
    assert not Findings(tmp_path, Namespace(images=4), "network", weights).begun
    assert not Findings(tmp_path, Namespace(images=3), "another", weights).begun
    weights.write_bytes(b"b")
    assert not Findings(tmp_path, Namespace(images=3), "network", weights).begun


def test_what_is_damaged_is_found_anew(tmp_path: Path) -> None:
    findings = Findings(tmp_path, Namespace())
    findings.take("a", lambda: 1)
    findings.path.write_text('{"a"')
    assert Findings(tmp_path, Namespace()).take("a", lambda: 2) == 2
