"""Ranks that were not started alike, or do not share the run folder, end with one line."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gan.training.callbacks.agreement import describe_difference, start_of
from tests.conftest import ROOT, TINY
from tests.programs import Forked

SAME = ["images=16", "trainer.accelerator=cpu", "trainer.devices=1", "trainer.num_nodes=2", "trainer.strategy=ddp"]


def test_the_first_difference_is_described() -> None:
    config = {"data.batch_size": 16, "data.num_workers": 0, "weight": 0.5, "resume": None}
    first = start_of(["data.batch_size=16"], config, "ab")
    assert describe_difference([first, first]) is None
    also = start_of(["data.batch_size=16", "data.num_workers=4"], config | {"data.num_workers": 4, "resume": "x"}, "ab")
    assert describe_difference([first, also]) is None
    other = start_of(["data.batch_size=32", "minutes=1"], config | {"data.batch_size": 32, "weight": 1.0}, "ab")
    said = (
        "rank 2 has data.batch_size=32, rank 0 has 16; minutes=1, rank 0 has (not set); start all ranks with the same"
    )
    assert describe_difference([first, first, other]) == f"{said} options"
    machine = start_of(["data.batch_size=16"], config | {"weight": None}, "ab")
    assert str(describe_difference([first, machine])).startswith("rank 1 has weight=null, rank 0 has 0.5; set these")
    older = first | {"versions": first["versions"] | {"torch": "2.10"}}
    assert str(describe_difference([first, older])).startswith("rank 1 has torch=2.10, rank 0 has 2.")
    said = "rank 1 has list of images=cd, rank 0 has ab; give all machines the same images"
    assert describe_difference([first, start_of(["data.batch_size=16"], config, "cd")]) == said


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
    assert set(said) == {"error: rank 1 has data.batch_size=8, rank 0 has 4; start all ranks with the same options"}
    assert not (tmp_path / "run").exists()


# A second machine where the run folder is not mounted.
NOT_MOUNTED = """
import os
from gan.run import lock
from gan.training.callbacks import agreement
lock.UNSEEN = agreement.VISIBLE = 2.0
if os.environ["RANK"] == "1":
    agreement.digest_of = lambda path: ""
    lock.read_json = lambda path: {}
    lock.run_folder.LOCK = ".lock of another machine"
"""


@pytest.mark.slow
@pytest.mark.parametrize("resume", [[], ["resume=auto"]])
def test_a_folder_that_is_not_shared(tmp_path: Path, resume: list[str]) -> None:
    options = [f"hydra.run.dir={tmp_path}/run", *resume]
    for line in on_two_machines(tmp_path, options, options, NOT_MOUNTED):
        assert line.startswith(f"error: {tmp_path}/run: rank 1 on ") and "does not see what rank 0 on" in line
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.slow
def test_run_folders_with_other_paths(tmp_path: Path) -> None:
    for line in on_two_machines(tmp_path, options := ["hydra.run.dir=run", "resume=auto"], options, NOT_MOUNTED):
        assert line == (
            f"error: rank 1 has hydra.run.dir={tmp_path}/machine1/run, rank 0 has {tmp_path}/machine0/run; "
            "start all ranks with the same options"
        )
