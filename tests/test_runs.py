"""The run folder: atomic writes, and which checkpoint is the newest whole one."""

from __future__ import annotations

import json
import math
import resource
from pathlib import Path
from typing import IO

import pytest

from gan import runs
from gan.errors import UserError


def save(run: Path, images: int, data: bytes = b"x" * 1000) -> Path:
    import hashlib

    path = runs.checkpoint_path(run, images)
    runs.write_json(runs.sidecar(path), {"sha256": hashlib.sha256(data).hexdigest(), "images": images})
    runs.write_atomically(path, lambda file: file.write(data))
    return path


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(file: IO[bytes]) -> None:
        file.write(b"half")
        raise OSError("no space")

    with pytest.raises(OSError):
        runs.write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limit[1]))
    try:
        with pytest.raises(OSError):
            runs.write_atomically(path, lambda file: file.write(b"x" * 1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_torn_at_any_byte_is_passed_over(tmp_path: Path) -> None:
    good, torn = save(tmp_path, 100), save(tmp_path, 200)
    whole = torn.read_bytes()
    for length in range(len(whole)):
        torn.write_bytes(whole[:length])
        said: list[str] = []
        assert runs.newest(tmp_path, said.append) == good
        assert "images-000000200.ckpt: damaged" in said[0]
    torn.write_bytes(whole)
    assert runs.newest(tmp_path, print) == torn


def test_best_and_last_and_files_are_found(tmp_path: Path) -> None:
    first, second = save(tmp_path, 100), save(tmp_path, 200)
    assert runs.find(tmp_path, "best") == second  # nothing was evaluated
    runs.write_json(first.with_name("best.json"), {"checkpoint": first.name})
    assert runs.find(tmp_path, "best") == first
    assert runs.find(tmp_path, "last") == second
    assert runs.find(tmp_path, str(first)) == first
    assert runs.find(second) == second
    first.write_bytes(b"torn")
    assert runs.find(tmp_path, "best", say=lambda _: None) == second


@pytest.mark.parametrize(("run", "checkpoint"), [("nowhere", "best"), (".", "last"), (".", "other.ckpt")])
def test_what_is_not_there_is_said(run: str, checkpoint: str, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        runs.find(tmp_path / run, checkpoint)


def test_metrics_are_cut_and_a_torn_last_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / runs.METRICS
    lines = [json.dumps({"images": images, "eval/kid": images / 10}) for images in (10, 20, 30)]
    path.write_text("\n".join(lines) + '\n{"images": 40, "ev')
    runs.cut_metrics(path, 20)
    assert [line["images"] for line in runs.read_metrics(path)] == [10, 20]


@pytest.mark.parametrize(
    ("values", "mode", "expected"),
    [
        ([3, 1, 2], "best", 1),
        ([3, 1, 2], "last", 2),
        ([], "best", math.inf),
        ([1, math.nan], "last", math.inf),
        ([1, math.nan], "best", 1),
    ],
)
def test_objective(values: list[float], mode: str, expected: float, tmp_path: Path) -> None:
    lines = [json.dumps({"images": i, "eval/kid": value}) for i, value in enumerate([0, *values])]  # untrained
    (tmp_path / runs.METRICS).write_text("".join(line + "\n" for line in lines))
    assert runs.objective(tmp_path, "eval/kid", mode) == expected
