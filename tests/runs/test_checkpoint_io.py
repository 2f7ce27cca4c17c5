"""Checkpoints are read back completely or refused, and reading them runs no code."""

import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from gan.runs import checkpoints
from gan.runs.checkpoint_file import FORMAT, load
from gan.runs.checkpoint_io import AtomicCheckpointIO
from gan.utils.errors import UserError
from tests.conftest import full_disk
from tests.security.checkpoints import Bomb

CONTENT: dict[str, Any] = {
    "format": FORMAT,
    "state_dict": {"w": torch.arange(500.0)},
    "config": {"a": [1, 2]},
    "images": 64,
    "global_step": 4,
}


def test_round_trip_with_checksum(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "images-000000064.ckpt"
    AtomicCheckpointIO().save_checkpoint(CONTENT, path)
    assert checkpoints.find_damage(path) is None
    assert checkpoints.images_of(path) == 64
    assert torch.equal(load(path)["state_dict"]["w"], CONTENT["state_dict"]["w"])
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name, "images-000000064.json"]


@pytest.mark.parametrize("beside", [True, False])
def test_a_torn_file_is_refused_with_and_without_its_checksum(beside: bool, tmp_path: Path) -> None:
    path = tmp_path / "images-000000064.ckpt"
    AtomicCheckpointIO().save_checkpoint(CONTENT, path)
    whole = path.read_bytes()
    if not beside:
        checkpoints.sidecar(path).unlink()
    for length in [0, 1, 100, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"images-000000064\.ckpt"):
            load(path)


@pytest.mark.parametrize("as_pickle", [True, False])
def test_code_in_a_checkpoint_does_not_run(as_pickle: bool, tmp_path: Path) -> None:
    path, trace = tmp_path / "bomb.ckpt", tmp_path / "trace"
    if as_pickle:
        path.write_bytes(pickle.dumps({**CONTENT, "x": Bomb(trace)}))
    else:
        torch.save({**CONTENT, "x": Bomb(trace)}, path)
    with pytest.raises(UserError, match="refused"):
        load(path)
    assert not trace.exists()


WHOLE = CONTENT | {
    "optimizer_states": [],
    "callbacks": {},
    "loops": {},
    "pending": {},
    "division": {},
    "epoch": 0,
    "pytorch-lightning_version": "2.6.6",
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"state_dict": {"w": torch.tensor([1.0, float("nan")])}}, "w is not finite"),
        ({"state_dict": {"w": torch.zeros(1).expand(3 * 10**9)}}, "more memory than the file has bytes"),
        ({"state_dict": {"w": torch.zeros(3).to_sparse()}}, "not a dense CPU tensor"),
        ({"x": Bomb(Path("trace"))}, "refused"),
    ],
)
def test_training_does_not_resume_from_incomplete_infinite_or_forged_checkpoints(
    change: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage, path = AtomicCheckpointIO(), tmp_path / "images-000000064.ckpt"
    storage.save_checkpoint(CONTENT, path)
    with pytest.raises(UserError, match="training cannot resume: the checkpoint has no optimizer_states"):
        storage.load_checkpoint(path)
    storage.save_checkpoint(WHOLE, path)
    assert storage.load_checkpoint(path)["images"] == 64
    torch.save(WHOLE | change, path)
    checkpoints.sidecar(path).unlink()
    with pytest.raises(UserError, match=said):
        storage.load_checkpoint(path)
    assert not Path("trace").exists()


def test_a_full_disk_is_reported_and_keeps_existing_checkpoints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage, path = AtomicCheckpointIO(), tmp_path / "images-000000064.ckpt"
    storage.save_checkpoint(CONTENT, path)
    with full_disk(1000):
        storage.save_checkpoint({**CONTENT, "images": 65}, path)
        storage.save_checkpoint(CONTENT, tmp_path / "images-000000128.ckpt")
    assert "not saved" in str(storage.failure) and "not saved" in capsys.readouterr().out
    assert checkpoints.find_damage(path) is None and checkpoints.images_of(path) == 64
    assert not list(tmp_path.glob("images-000000128.*"))  # nor a sidecar without its checkpoint
    assert not list(tmp_path.glob(".*"))


class Slow(AtomicCheckpointIO):
    """Writes when it is allowed to."""

    def __init__(self, **options: Any) -> None:
        super().__init__(background=True, **options)
        self.allowed = threading.Semaphore(0)

    def write(self, *arguments: Any) -> None:
        assert self.allowed.acquire(timeout=60)
        super().write(*arguments)


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path: Path) -> None:
    calls: list[str] = []
    storage, path = Slow(after=lambda: calls.append("after")), tmp_path / "images-000000064.ckpt"
    weight = torch.arange(500.0)
    storage.save_checkpoint(CONTENT | {"state_dict": {"w": weight}}, path, lambda: calls.append("then"))
    weight.zero_()  # by the next training step
    assert not path.exists() and calls == []
    storage.allowed.release()
    storage.wait()
    assert torch.equal(load(path)["state_dict"]["w"], torch.arange(500.0))
    assert checkpoints.find_damage(path) is None and calls == ["then", "after"]
    storage.close()


def test_a_checkpoint_waits_for_the_previous_one(tmp_path: Path) -> None:
    storage, paths = Slow(), [tmp_path / f"images-{images:09}.ckpt" for images in (64, 128)]
    storage.save_checkpoint(CONTENT, paths[0])
    second = threading.Thread(target=storage.save_checkpoint, args=(CONTENT, paths[1]))
    second.start()
    second.join(0.2)
    assert second.is_alive()
    storage.allowed.release(2)
    second.join()
    storage.close()
    assert all(checkpoints.find_damage(path) is None for path in paths)


def test_what_the_thread_raises_is_raised_at_the_next_checkpoint_or_at_the_end(tmp_path: Path) -> None:
    def fail() -> None:
        raise ValueError("a bug")

    storage = AtomicCheckpointIO(background=True)
    storage.save_checkpoint(CONTENT, tmp_path / "images-000000064.ckpt", fail)
    with pytest.raises(ValueError, match="a bug"):
        storage.save_checkpoint(CONTENT, tmp_path / "images-000000128.ckpt")
    storage.save_checkpoint(CONTENT, tmp_path / "images-000000192.ckpt", fail)
    with pytest.raises(ValueError, match="a bug"):
        storage.close()


@pytest.mark.parametrize("other", [None, FORMAT - 1, str(FORMAT), 10**9])
def test_a_checkpoint_of_another_format_is_refused(other: Any, tmp_path: Path) -> None:
    path = tmp_path / "images-000000064.ckpt"
    torch.save({key: value for key, value in (CONTENT | {"format": other}).items() if value is not None}, path)
    with pytest.raises(UserError, match=rf"but this version reads format {FORMAT}; install the version that wrote it"):
        load(path)
