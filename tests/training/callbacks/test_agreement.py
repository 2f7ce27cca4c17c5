"""Ranks that were not started alike end with one line."""

import socket
from pathlib import Path

import pytest

from gan.training.callbacks.agreement import differing
from tests.conftest import ROOT, TINY
from tests.programs import Forked

SAME = ["images=16", "trainer.accelerator=cpu", "trainer.devices=1", "trainer.num_nodes=2", "trainer.strategy=ddp"]


def test_names_that_differ_on_any_rank() -> None:
    assert differing([{"a": 1, "b": None}, {"a": 1, "b": None}]) == []
    assert differing([{"a": 1}, {"a": 1}, {"a": 2, "c": 3}]) == ["a", "c"]


def on_two_machines(tmp_path: Path, first: list[str], second: list[str], code: str = "") -> list[str]:
    """Start two ranks as torchrun does, each in a folder of its own, and return what they print.

    Both must end with exit code 2 and without a traceback.
    """
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1"}
    shared |= {"TORCHELASTIC_RUN_ID": "test", "LOCAL_RANK": "0"}
    ranks = []
    for rank, words in enumerate((first, second)):
        folder = tmp_path / f"machine{rank}"
        folder.mkdir()
        program = [
            "-c",
            f"import runpy, sys\n{code}\nsys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], {{}}, '__main__')",
        ]
        program += [str(ROOT / "train.py"), *TINY, *SAME, *words]
        own = {"RANK": str(rank), "GROUP_RANK": str(rank)}
        ranks.append(Forked(program, folder, folder / "said", **shared, **own))
    codes = [rank.wait() for rank in ranks]
    said = [rank.communicate()[0] for rank in ranks]
    assert codes == [2, 2], said
    assert not any("Traceback" in text for text in said), said
    return [text.strip().splitlines()[-1] for text in said]


@pytest.mark.slow
@pytest.mark.parametrize("resume", [[], ["resume=auto"]])
def test_other_options(tmp_path: Path, resume: list[str]) -> None:
    options = [f"hydra.run.dir={tmp_path}/run", *resume]
    said = on_two_machines(tmp_path, options, [*options, "data.batch_size=8"])
    assert all(line.startswith("error: the ranks differ in ") and "data.batch_size" in line for line in said)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_run_folders_with_other_paths(tmp_path: Path) -> None:
    code = """
import os
from gan.config import resume
resume.UNSEEN = 2.0
if os.environ["RANK"] == "1":  # a second machine where the run folder is not mounted
    resume.read_json = lambda path: {}
    resume.run_folder.LOCK = ".lock of another machine"
"""
    for line in on_two_machines(tmp_path, options := ["hydra.run.dir=run", "resume=auto"], options, code):
        assert line.startswith("error: the ranks differ in hydra.run.dir")
