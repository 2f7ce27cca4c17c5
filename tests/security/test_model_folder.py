"""Hostile run folders given to gan commands: forged files are refused, and links do not lead outside."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from gan.runs import checkpoints, run_folder
from gan.runs.checkpoint_io import AtomicCheckpointIO

from .checkpoints import DCGAN, checkpoint
from .conftest import Cage

pytestmark = pytest.mark.slow

GENERATE = ["generate", "run", "--out", "out", "--seeds", "0"]
EVALUATE = ["evaluate", "run", "--images", "8", "--extractor", "random_conv"]
METRICS = '{"images": 8, "loss/generator": 1.5, "time/images_per_second": 4.0, "eval/kid": 0.5}\n'


@pytest.fixture
def run(cage: Cage, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return a run folder in the cage, and another checkpoint outside of it."""
    folder = cage.folder / "run"
    (folder / run_folder.CHECKPOINTS).mkdir(parents=True)
    made = checkpoint(DCGAN)
    made["config"]["data"] |= {"num_images": 24, "batch_size": 4, "split": None, "labels": False}
    AtomicCheckpointIO().save_checkpoint(made, checkpoints.checkpoint_path(folder, 64))
    AtomicCheckpointIO().save_checkpoint(made, cage.root / "outside" / "other.ckpt")
    (folder / run_folder.CONFIG).write_text("objective: eval/kid\nmodel: {width: 4}\n")
    (folder / run_folder.METRICS).write_text(METRICS)
    return folder


def test_one_that_is_whole(run: Path, cage: Cage) -> None:
    cage.run(*GENERATE, check=0)
    assert "eval/kid" in cage.run("compare", "run", "--json", check=0)
    cage.run("compare", "run", "run/../run", "--out", "out/curves.png", check=0)


@pytest.mark.parametrize("text", ["[]", "3", "null", '{"checkpoint": [1]}', "[" * 100_000, "\0", ""], ids=range(7))
def test_files_beside_checkpoints_of_another_shape(text: str, run: Path, cage: Cage) -> None:
    (run / run_folder.CHECKPOINTS / "images-000000064.json").write_text(text)
    cage.run(*GENERATE)


def test_a_checkpoint_that_is_not_the_one_that_was_saved(run: Path, cage: Cage) -> None:
    path = checkpoints.checkpoint_path(run, 64)
    torch.save(checkpoint(DCGAN, ["a"]), path)
    assert "no undamaged checkpoint" in cage.run(*GENERATE)


LINKS: dict[str, tuple[Callable[[Path, Path], None], list[str]]] = {
    "evaluation": (lambda run, outside: (run / run_folder.EVALUATION).symlink_to(outside / "precious"), EVALUATE),
    "samples": (lambda run, outside: (run / run_folder.SAMPLES).symlink_to(outside), EVALUATE),
    "directions": (lambda run, outside: (run / "directions").symlink_to(outside), ["directions", "run"]),
    "recognition": (
        lambda run, outside: (run / run_folder.RECOGNITION).symlink_to(outside),
        ["recognize", "fit", "run", "i"],
    ),
}


@pytest.mark.parametrize("name", LINKS)
def test_links_lead_no_command_out(name: str, run: Path, cage: Cage) -> None:
    plant, words = LINKS[name]
    plant(run, cage.root / "outside")
    for path in ("i/a/0.png", "i/b/1.png"):
        (cage.folder / path).parent.mkdir(parents=True)
        Image.new("RGB", (16, 16)).save(cage.folder / path)
    before = sorted((cage.root / "outside").iterdir())
    assert "leads out of run" in cage.run(*words)
    assert sorted((cage.root / "outside").iterdir()) == before


def laughs() -> str:
    """Return nested YAML aliases: a billion values in some hundred bytes."""
    lines = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(lines)


CONFIGS: dict[str, Callable[[], str | bytes]] = {
    "code": lambda: "x: !!python/object/apply:os.system ['touch ../canary']\n",
    "laughs": laughs,
    "itself": lambda: "a: &a {b: *a}\n",
    "deep": lambda: "[" * 20_000,
    "deep names": lambda: "{a: " * 20_000,
    "a list": lambda: "[1, 2]",
    "a text": lambda: "hello",
    "a number": lambda: "3",
    "numbers for names": lambda: "1: 2\n",
    "a date": lambda: "x: 2020-01-01\n",
    "binary": lambda: "x: !!binary aGVsbG8=\n",
    "no text": lambda: b"\xff\xfe\x00\xd8",
    "no YAML": lambda: "{",
    "large": lambda: "x: " + "y" * 5_000_000,
}


@pytest.mark.parametrize("what", CONFIGS)
def test_configurations_that_compare_reads(what: str, run: Path, cage: Cage) -> None:
    text = CONFIGS[what]()
    (run / run_folder.CONFIG).write_bytes(text.encode() if isinstance(text, str) else text)
    assert "config.yaml" in cage.run("compare", "run")


def test_a_configuration_does_not_read_the_environment(run: Path, cage: Cage) -> None:
    (run / run_folder.CONFIG).write_text('token: ${oc.env:SECRET_TOKEN}\nname: "\\e[2J"\n')
    other = cage.folder / "other"
    other.mkdir()
    (other / run_folder.CONFIG).write_text("token: x\n")
    (other / run_folder.METRICS).write_text(METRICS)
    said = cage.run("compare", "run", "other", check=0)
    assert "${oc.env:SECRET_TOKEN}" in said and "\x1b" not in said


LINES: list[Any] = [
    [1], 3, None, "x", {}, {"images": "8"}, {"images": None, "eval/kid": 1}, {"images": 8, "eval/kid": "x"},
    {"images": 8, "eval/kid": [1]}, {"images": 8, "eval/kid": None}, {"images": 10**400, "eval/kid": 1},
    {"images": 8, "eval/kid": 10**400}, {"images": -8, "eval/kid": 1}, {"images": 8, "seconds": 0},
    {"images": 8, "seconds": "x"}, {"images": 8, "seconds": -1}, {"images": 8, "seconds": 10**30},
    {"images": 8, "eval/$x_{": 1.0}, {"images": 8, "eval/\x1b[2J\n": 1.0}, {"images": 8, "eval/kid": {"a": 1}},
]  # fmt: skip


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_metrics_that_compare_reads(line: Any, run: Path, cage: Cage) -> None:
    with open(run / run_folder.METRICS, "a") as file:
        file.write(json.dumps(line) + "\n" + METRICS.replace("8", "16"))
    said = cage.run("compare", "run", "--out", "out/curves.png", check=0)
    assert "0.5" in said and "\x1b" not in said
    cage.run("compare", "run", "--json", check=0)


def test_more_scores_than_can_be_plotted(run: Path, cage: Cage) -> None:
    line = {"images": 8} | {f"eval/{n}": 1.0 for n in range(10_000)}
    (run / run_folder.METRICS).write_text(json.dumps(line) + "\n")
    assert "too many to plot" in cage.run("compare", "run", "--out", "out/curves.png")


@pytest.mark.parametrize("name", [run_folder.CONFIG, run_folder.METRICS])
def test_pipes_are_not_waited_for(name: str, run: Path, cage: Cage) -> None:
    (run / name).unlink()
    os.mkfifo(run / name)
    cage.run("compare", "run", check=2)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"\xff\n", b"\0" * 100], ids=range(3))
def test_metrics_that_are_no_lines(content: bytes, run: Path, cage: Cage) -> None:
    (run / run_folder.METRICS).write_bytes(content)
    assert "never trained" in cage.run("compare", "run", check=2)


OPTIONS: list[dict[str, Any]] = [
    {"fit": ["crop"]}, {"fit": 3}, {"fit": "x"}, {"resample": 3}, {"resample": ["nearest"]}, {"resample": "x"},
    {"background": 3}, {"background": "x"}, {"background": ["white"]}, {"background": "\x1b[2J"},
    {"patches_per_image": "x"},
    {"batch_size": 0}, {"batch_size": "x"}, {"num_images": 10**12}, {"num_images": -1}, {"classes": ["x"]},
    {"split": 3},
    {"validation": "x"}, {"seed": "x"}, {"seed": -1}, {"num_workers": 10**6}, {"max_pixels": "x"},
    {"labels": "/dev/null"},
    {"labels": "../../outside/precious"}, {"root": "/dev/zero"}, {"root": 3}, {"root": "\0"}, {"root": "../../outside"},
    {"source": "os.system"}, {"source": {"_target_": "os.system"}},
    {"source": {"_target_": "gan.data.sources.huggingface.Hub"}},
    {"frames": 3},
    {"storage": "x"},
    {"_target_": "gan.data.stream.StreamingDataModule", "root": "../../outside"}, {"unknown": 1},
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=range(len(OPTIONS)))
def test_options_of_data(options: dict[str, Any], run: Path, cage: Cage) -> None:
    """If an option in a checkpoint's configuration has another type, it gives a one-line error or is ignored."""
    made = checkpoint(DCGAN)
    made["config"]["data"] |= {"num_images": 24, "batch_size": 4, "split": None, "labels": False} | options
    AtomicCheckpointIO().save_checkpoint(made, checkpoints.checkpoint_path(run, 64))
    Image.new("RGB", (20, 16)).save(cage.folder / "image.png")
    words = ["project", "run", "image.png", "--out", "out", "--starts", "1", "--steps", "10"]
    for each in (words, EVALUATE):
        try:
            cage.run(*each)
        except AssertionError as error:
            assert "assert 0 == 2" in str(error)  # it was done
