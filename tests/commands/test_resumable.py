"""Results are kept until the command has finished, and depend on its options and inputs."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest

from gan.commands.options import Results


def test_results_are_not_computed_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[str] = []

    def compute() -> list[float]:
        asked.append("")
        return [0.1, 1 / 3]

    first = Results(tmp_path, Namespace(images=3, force=False))
    assert not first.values and first.get("a", compute) == first.get("a", compute) and len(asked) == 1
    again = Results(tmp_path, Namespace(images=3, force=True))
    assert again.values and again.get("a", compute) == [0.1, 1 / 3] and len(asked) == 1
    assert capsys.readouterr().out == "resuming with 1 results of an interrupted command\n"
    again.remove()
    assert not Results(tmp_path, Namespace(images=3)).values and not list(tmp_path.iterdir())


def test_results_of_other_options_are_kept_apart(tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.write_bytes(b"a")
    Results(tmp_path, Namespace(images=3), "network", weights).get("a", lambda: 1)
    assert Results(tmp_path, Namespace(images=3), "network", weights).values
    assert not Results(tmp_path, Namespace(images=4), "network", weights).values
    assert not Results(tmp_path, Namespace(images=3), "another", weights).values
    weights.write_bytes(b"b")
    assert not Results(tmp_path, Namespace(images=3), "network", weights).values


def test_damaged_results_are_computed_again(tmp_path: Path) -> None:
    results = Results(tmp_path, Namespace())
    results.get("a", lambda: 1)
    results.path.write_text('{"a"')
    assert Results(tmp_path, Namespace()).get("a", lambda: 2) == 2
