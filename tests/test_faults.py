"""Faults during a run: a specific error appears soon, and no process or file is left behind."""

import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.conftest import ROOT, TINY, command, run_python
from tests.patience import PATIENCE, wait_for
from tests.programs import Forked

pytestmark = pytest.mark.slow

RUN = "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
LONG = [option for option in TINY if not option.startswith(("data.images", "data.num_images"))] + ["images=1000000"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for index in range(12):
        Image.new("RGB", (20, 20), (index, 0, 0)).save(tmp_path / "images" / f"{index}.png")
    return tmp_path / "images"


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gatherers(process: Forked) -> list[int]:
    """Return the worker processes of the data loader, or the other rank; not the processes that decode."""
    found = [pid for pid in children(process.pid) if "multiprocessing" not in Path(f"/proc/{pid}/cmdline").read_text()]
    assert found
    return found


@contextmanager
def running(folder: Path, *options: str, cache: str = "", code: str = "") -> Iterator[Forked]:
    """Start a run, in Python that executes `code` and then train.py, and wait for its first checkpoint."""
    run = folder.parent / "run"
    words = [str(ROOT / "train.py"), *LONG, "data=folder", f"data.root={folder}", *options, f"hydra.run.dir={run}"]
    words = after(code, *words) if code else words
    process = Forked(words, folder.parent, folder.parent / "said", **({"RETRO_GAN_CACHE": cache} if cache else {}))
    try:
        wait_for(lambda: list((run / "checkpoints").glob("*.ckpt")), process)
        yield process
    finally:
        process.kill()
        process.wait()


def ending(process: Forked) -> str:
    """Return the last line of a run, which must end with exit code 2 and without a traceback."""
    said = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 2, said
    assert "Traceback" not in said, said
    return said.strip().splitlines()[-1]


def newest(checkpoints: Path) -> int:
    """Return the images seen of the newest checkpoint, or 0."""
    return max((int(re.findall(r"\d+", path.stem)[0]) for path in checkpoints.glob("*.ckpt")), default=0)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_worker_that_dies(folder: Path) -> None:
    with running(folder, "data.num_workers=2") as process:
        workers = children(process.pid)
        os.kill(gatherers(process)[0], signal.SIGKILL)
        assert "a worker process of the data loader died" in ending(process)
        wait_for(lambda: not any(map(alive, workers)))  # some end after the one that started them


def test_a_folder_that_is_deleted_while_the_cache_has_its_pixels(folder: Path) -> None:
    with running(folder) as process:
        shutil.rmtree(folder)
        time.sleep(2)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=PATIENCE)[0]
        assert process.returncode == 143, said
    # the set is gone, so the run can't be gone on with, and says so
    result = command([str(ROOT / "train.py"), f"resume={folder.parent / 'run'}"], folder.parent, check=2)
    assert "there is no such folder or zip archive" in result.stderr


@pytest.mark.parametrize("workers", [0, 2])
def test_a_second_ctrl_c_does_not_wait_for_pixels(folder: Path, tmp_path: Path, workers: int) -> None:
    """A read that never returns, as from a network disk that has disappeared."""
    gone = tmp_path / "gone"
    code = (
        "import os, time\n"
        "from gan.data.order import RandomCropFlip\n"
        "whole = RandomCropFlip.__call__\n"
        "def call(self, images, first):\n"
        f"    while os.path.exists({str(gone)!r}): time.sleep(3600)\n"
        "    return whole(self, images, first)\n"
        "RandomCropFlip.__call__ = call\n"
    )
    with running(folder, f"data.num_workers={workers}", "data.flip=true", code=code) as process:
        gone.touch()
        for _ in range(2):
            time.sleep(1)
            process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 130, said
    assert "Traceback" not in said and "stopped at once, without saving" in said.strip().splitlines()[-1]


def test_a_killed_rank_ends_the_other(folder: Path) -> None:
    with running(folder, "trainer.devices=2", "trainer.accelerator=cpu") as process:
        (rank,) = gatherers(process)
        os.kill(rank, signal.SIGKILL)
        assert ending(process).startswith(
            "error: another process of this run has died or does not answer; continue with"
        )
    saved = newest(folder.parent / "run" / "checkpoints")
    command([str(ROOT / "train.py"), f"resume={folder.parent / 'run'}", f"images={saved + 48}"], folder.parent)


def test_torchrun_goes_on_after_each_rank_was_killed(tmp_path: Path) -> None:
    options = [str(ROOT / "train.py"), *TINY, "images=1000", "callback.checkpoint.interval=100"]
    options += ["trainer.devices=2", "trainer.accelerator=cpu"]
    command([*options, "hydra.run.dir=whole"], tmp_path)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "2"]
    words = [*launch, *options, "hydra.run.dir=killed", "resume=auto"]
    saved = tmp_path / "killed" / "checkpoints"
    process = Forked(words, tmp_path, tmp_path / "said", TORCH_DISABLE_SHARE_RDZV_TCP_STORE="1")
    for restart, images in enumerate((200, 500)):
        wait_for(lambda images=images: newest(saved) >= images, process)
        os.kill(children(process.pid)[restart], signal.SIGKILL)
    assert process.wait() == 0, process.communicate()
    assert process.communicate()[0].count("resumes at") == 2
    whole, killed = (
        torch.load(tmp_path / run / "checkpoints" / "images-000001000.ckpt", weights_only=True)["state_dict"]
        for run in ("whole", "killed")
    )
    assert all(torch.equal(value, killed[name]) for name, value in whole.items()) and len(whole) == len(killed)


def test_ranks_do_not_outlive_the_first(folder: Path) -> None:
    with running(folder, "trainer.devices=2", "trainer.accelerator=cpu") as process:
        (rank,) = gatherers(process)
        process.kill()
        wait_for(lambda: not Path(f"/proc/{rank}").exists())
        said = process.communicate(timeout=PATIENCE)[0]
        assert "Traceback" not in said and "another process of this run has died" in said


def test_a_stopped_rank_does_not_keep_a_signal_waiting(folder: Path) -> None:
    """The other rank waits in a collective, a single instruction that takes half an hour."""
    with running(folder, "trainer.devices=2", "trainer.accelerator=cpu") as process:
        (rank,) = gatherers(process)
        os.kill(rank, signal.SIGSTOP)
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=PATIENCE)[0]
        assert process.returncode == 130, said
        assert "Traceback" not in said and "continue with: python train.py resume=" in said.strip().splitlines()[-1]


BEFORE_THE_GROUP = """
import time, torch.distributed
real = torch.distributed.init_process_group
def slow(*words, **options): return time.sleep(60), real(*words, **options)
torch.distributed.init_process_group = slow
"""


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, ""), (signal.SIGTERM, BEFORE_THE_GROUP), (signal.SIGKILL, "")],
    ids=["in a collective", "in Python", "killed"],
)
def test_a_signal_before_the_first_step_ends_all_ranks(number: int, code: str, tmp_path: Path) -> None:
    """The first rank waits half an hour for the other one, which still imports torch, and the other way round."""
    said = tmp_path / "said"
    said.touch()
    words = [str(ROOT / "train.py"), *LONG, "trainer.devices=2", "trainer.accelerator=cpu", "hydra.run.dir=run"]
    process = Forked(after(code, *words), tmp_path, said)
    wait_for(lambda: "Initializing distributed" in said.read_text(), process)
    (rank,) = gatherers(process)
    if number == signal.SIGTERM:
        os.kill(rank, signal.SIGSTOP)
    process.send_signal(number)
    assert process.wait() == (143 if number == signal.SIGTERM else -number)
    wait_for(lambda: not Path(f"/proc/{rank}").exists())


def after(code: str, *words: str) -> list[str]:
    """Return the words with which Python runs a program after some code."""
    return ["-c", f"import runpy, sys\n{code}\n{RUN}", *words]


NO_NETWORK = """
import socket
real = socket.socket.connect
def refuse(*words): raise SystemExit(f"asked the network for {words}")
def connect(self, address): return real(self, address) if self.family == socket.AF_UNIX else refuse(address)
socket.socket.connect = connect
socket.getaddrinfo = refuse
"""


def test_no_network_is_used(tmp_path: Path) -> None:
    """Importing, training on the built-in images, and generating need no network access."""
    words = [str(ROOT / "train.py"), *TINY, "images=8", "hydra.run.dir=run"]
    trained = run_python(after(NO_NETWORK, *words), tmp_path)
    assert trained.returncode == 0, trained.stderr
    generate = [str(ROOT / "gan" / "cli.py"), "generate", "run", "--seeds", "0-1", "--out", "drawn"]
    drawn = run_python(after(NO_NETWORK, *generate), tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 2
    assert "network" not in trained.stderr + drawn.stderr
