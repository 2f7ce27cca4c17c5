"""A run folder from a stranger: it names no code, reads nothing of the environment, and leads no command out of it.

tests/security/test_reader.py has files that are no YAML or JSON of this program.
"""

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from PIL import Image

from gan.config.launch import words_of_start
from gan.runs import checkpoints, run_folder
from gan.utils.errors import UserError
from gan.utils.files import write_json
from tests.runs.test_run_folder import save

from .checkpoints import DCGAN, checkpoint, write_run
from .conftest import SECRET, Cage

pytestmark = pytest.mark.slow

GENERATE = ["generate", "run", "--out", "out", "--seeds", "0"]
EVALUATE = ["evaluate", "run", "--images", "8", "--extractor", "random_conv"]


@pytest.fixture
def run(cage: Cage, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a run folder in the current folder, which has a module that leaves a trace if it is imported."""
    monkeypatch.chdir(cage.folder)
    (cage.folder / "evil.py").write_text("open('../canary', 'w')\nclass X: name = 'x'\n")
    write_run(cage.folder / "run")
    return cage.folder / "run"


def test_a_whole_run_is_used(run: Path, cage: Cage) -> None:
    cage.run(*GENERATE, check=0)
    assert "eval/kid" in cage.run("compare", "run", "--json", check=0)


OVERRIDES = [
    # code
    "callback.evaluate.extractors=[lite0,evil.X]",
    "+x._target_=os.system",
    "model.generator_optimizer._target_=os.system",
    "+callback.x={_target_: evil.X}",
    "data.classes=[{_target_: evil.X}]",
    "hydra/launcher=evil",
    "hydra.searchpath=[file://.]",
    "experiment=../../../x/evil",
    "model=../experiment/quick",
    "data@model=folder",
    # the environment
    "data.root=${oc.env:SECRET_TOKEN}",
    r"objective=$\{oc.env:SECRET_TOKEN\}",
    "data.root=[a,'${oc.env:SECRET_TOKEN}']",
    "objective=a${oc.env:SECRET_TOKEN}b",
    # files elsewhere
    "hydra.run.dir=elsewhere",
    "callback.checkpoint.run=../other",
    "logger.tensorboard.run=/elsewhere",
    "++trainer.default_root_dir=/elsewhere",
    # what is no override, or none that this program records
    "~callback.health",
    "seed=1,2",
    "",
    "seed=" + "[" * 5000,
    "seed={a:" * 2000,
    "seed='" + "x" * 200_000 + "'",
    "no.such.option=1",
    "resume_force=true",
    "-m",
    "callback=[1]",
]


@pytest.mark.parametrize("override", OVERRIDES, ids=lambda word: word[:60])
def test_an_override_of_a_stranger_is_refused_and_nothing_happens(override: str, run: Path, cage: Cage) -> None:
    (run / run_folder.OVERRIDES).write_text(yaml.safe_dump(["seed=1", override]))
    save(cage.folder / "other", 100)
    before = cage.files()
    with pytest.raises(UserError) as caught:
        words_of_start(["resume=run", "images=200"])
    assert len(str(caught.value)) < 600 and "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert cage.files() == before


def test_a_configuration_does_not_read_the_environment(run: Path, cage: Cage) -> None:
    (run / run_folder.CONFIG).write_text('token: ${oc.env:SECRET_TOKEN}\nname: "\\e[2J"\n')
    write_run(cage.folder / "other")
    (cage.folder / "other" / run_folder.CONFIG).write_text("token: x\n")
    assert "${oc.env:SECRET_TOKEN}" in cage.run("compare", "run", "other", check=0)


@pytest.mark.parametrize("named", ["../../other/checkpoints/images-000000064.ckpt", "/etc/passwd", "", 5, [1]])
def test_the_best_checkpoint_is_one_of_the_run(named: object, run: Path, cage: Cage) -> None:
    write_run(cage.folder / "other")
    path = checkpoints.checkpoint_path(run, 64)
    write_json(checkpoints.sidecar(path), checkpoints.read_sidecar(path) | {"best": {"checkpoint": named}})
    with pytest.raises(UserError, match="its best checkpoint is not one of this run"):
        checkpoints.find_checkpoint(run)
    assert checkpoints.find_checkpoint(run, "last") == path


@pytest.mark.parametrize("change", [{"sha256": 0}, {"images": "64"}, {"bytes": "x"}, {"best": "x"}])
def test_values_beside_a_checkpoint_are_checked(change: dict[str, Any], run: Path, cage: Cage) -> None:
    path = checkpoints.sidecar(checkpoints.checkpoint_path(run, 64))
    write_json(path, json.loads(path.read_text()) | change)
    assert "no undamaged checkpoint" in cage.run(*GENERATE)


def test_a_checkpoint_that_is_not_the_one_that_was_saved(run: Path, cage: Cage) -> None:
    torch.save(checkpoint(DCGAN, ["a"]), checkpoints.checkpoint_path(run, 64))
    assert "no undamaged checkpoint" in cage.run(*GENERATE)


LINKS: dict[str, tuple[str, list[str]]] = {
    "evaluation": (run_folder.EVALUATION, EVALUATE),
    "samples": (run_folder.SAMPLES, EVALUATE),
    "directions": ("directions", ["directions", "run"]),
    "recognition": (run_folder.RECOGNITION, ["recognize", "fit", "run", "i"]),
}


@pytest.mark.parametrize("name", LINKS)
def test_links_lead_no_command_out(name: str, run: Path, cage: Cage) -> None:
    file, words = LINKS[name]
    outside = cage.root / "outside"
    (run / file).symlink_to(outside / "precious" if name == "evaluation" else outside)
    for path in ("i/a/0.png", "i/b/1.png"):
        (cage.folder / path).parent.mkdir(parents=True)
        Image.new("RGB", (16, 16)).save(cage.folder / path)
    assert "leads out of run" in cage.run(*words)


PARTS = [run_folder.CHECKPOINTS, run_folder.SAMPLES, run_folder.METRICS, run_folder.ENVIRONMENT, run_folder.CONFIG]


@pytest.mark.parametrize("name", PARTS)
def test_training_writes_through_no_link_that_leads_out(name: str, run: Path, cage: Cage) -> None:
    """Only files in the run folder are pruned, removed and appended to."""
    other = cage.folder / "other"
    other.mkdir()
    if (run / name).exists():
        os.rename(run / name, other / name)
    (run / name).symlink_to(other / name)
    before = cage.files()
    with pytest.raises(UserError, match="is not a regular file or folder"):
        words_of_start(["resume=run", "images=200"])
    assert cage.files() == before


PIPES = [
    run_folder.METRICS, run_folder.ENVIRONMENT, run_folder.CONFIG, run_folder.OVERRIDES, run_folder.SAMPLES,
    run_folder.LOGGERS, run_folder.LOCK, "events.out.tfevents.1", "checkpoints/images-000000200.ckpt",
]  # fmt: skip


@pytest.mark.parametrize("name", PIPES)
def test_named_pipes_are_refused(name: str, run: Path) -> None:
    """Opening one waits forever for another process; the alarm ends the test then."""
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    signal.alarm(60)
    try:
        with pytest.raises(UserError, match=f"{re.escape(Path(name).name)}: (is not a|cannot be read)"):
            words_of_start(["resume=run", "images=200"])
    finally:
        signal.alarm(0)
