"""A run folder and its copy in object storage: remote=s3://BUCKET/runs/NAME. No torch.

Training writes to the folder, and uploads changed files to the copy. A start downloads what has changed in the copy
since the last transfer; see `RemoteRun`. Commands read a copy through a folder in the cache; see `download`.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from gan.runs import checkpoints, run_folder
from gan.utils.errors import UserError
from gan.utils.files import write_json
from gan.utils.object_store import Missing, Store, check_address, stored_at
from gan.utils.output import print_line
from gan.utils.processes import global_rank
from gan.utils.untrusted import read_json

PART = r"[\w@=+-][\w.@=+-]*"
NAME = re.compile(rf"(?:{PART}/){{0,3}}{PART}", re.ASCII)  # no part begins with a dot, as names of partial files do
LOGS = re.compile(r"events\.out\.tfevents\..*|wandb/.*|mlruns/.*")  # not needed by commands that read a run


class Known(NamedTuple):
    """Size, time and tag of a file at its last transfer, when folder and copy had the same content."""

    size: int
    changed: int
    tag: str


class RemoteRun:
    """A run folder and its copy.

    `.remote.json` in the folder has what both had at the last transfer. So changes on either side are known: an upload
    replaces what has changed in the folder, a download what has changed in the copy.

    Args:
        address: address of the copy.
        run: the run folder, which may not exist yet.
    """

    def __init__(self, address: str, run: Path) -> None:
        self.store = Store(address)
        self.run = run
        self.known = read_record(run / run_folder.REMOTE, self.store.address)

    def holds_run(self) -> bool:
        """Return whether the copy has a checkpoint; raise StoreError."""
        return any(name.startswith(f"{run_folder.CHECKPOINTS}/") for name in self.store.list())

    def pull(self, logs: bool = True) -> bool:
        """Download the files that have changed in the copy. Return False, and do nothing, if there is no copy.

        Changes in the folder that were not uploaded yet are kept, unless the copy has checkpoints that the folder has
        never had, because training went on elsewhere: then later checkpoints of the folder are moved aside.

        Args:
            logs: also download logs for TensorBoard and others.

        Raises:
            StoreError: the store cannot be read, or training into the copy has just removed an old checkpoint.
            OSError: the folder cannot be written.
        """
        if not (listed := self.store.list()):
            self.known.clear()  # the copy was removed
            return False
        there = complete(listed)
        new = [name for name in there if name.endswith(".ckpt") and name not in self.known]
        continued = not all((self.run / name).exists() for name in new)  # elsewhere
        for name in in_order(there):
            path, known = self.run / name, self.known.get(name)
            changed = known is None or known.tag != there[name]
            if (changed or stamp(path) is None) and (logs or not LOGS.fullmatch(name)):
                self.store.download(name, path)
                self.remember(name, there[name])
        if continued:
            self.drop(there)
        return True

    def drop(self, there: Collection[str]) -> None:
        """Remove checkpoints that were removed from the copy; move aside those that were never in it."""
        aside = []
        for path in checkpoints.list_checkpoints(self.run):
            name = path.relative_to(self.run).as_posix()
            if name not in there and self.known.pop(name, None) is None:
                aside.append(path)
            elif name not in there:
                checkpoints.remove(path)
        if aside:
            folder = checkpoints.set_aside(self.run, aside)
            print_line(f"{self.store.address} was continued elsewhere: moved checkpoints of {self.run} to {folder}")

    def push(self) -> None:
        """Upload changed files, then remove from the copy the checkpoints that the folder no longer has.

        A checkpoint is uploaded before its sidecar, so the copy is consistent at any time. What somebody has removed
        from the copy is uploaded again.

        Raises:
            StoreError: the store cannot be written; the next call continues.
            OSError: the folder cannot be read.
        """
        there = self.store.list()
        self.known = {name: known for name, known in self.known.items() if name in there}
        self.upload()
        kept = [name for name in self.known if (self.run / name).exists()]
        if not any(name.endswith(".ckpt") and sidecar_of(name) in kept for name in kept):
            return  # the folder or its disk was removed, or training replaced the checkpoint before its upload
        gone = [name for name in self.known if name.startswith(f"{run_folder.CHECKPOINTS}/") and name not in kept]
        for name in reversed(in_order(gone)):
            self.store.remove(name)
            del self.known[name]
        self.write_record()

    def upload(self) -> None:
        """Upload the files that have changed. Raise StoreError, or OSError if the folder cannot be read."""
        for name in in_order(files_of(self.run)):
            here, known = stamp(self.run / name), self.known.get(name)
            if here is None or (known is not None and here == known[:2]):
                continue
            try:
                self.store.upload(self.run / name, name)
            except (FileNotFoundError, Missing):
                if (self.run / name).exists():
                    raise
                continue  # training has removed an old checkpoint
            self.known[name] = Known(*here, self.store.tag_of(name))
            self.write_record()

    def remember(self, name: str, tag: str) -> None:
        if (here := stamp(self.run / name)) is not None:
            self.known[name] = Known(*here, tag)
            self.write_record()

    def write_record(self) -> None:
        write_json(self.run / run_folder.REMOTE, {"address": self.store.address, "files": self.known})


def complete(there: dict[str, str]) -> dict[str, str]:
    """Return the tags of a run's objects, without checkpoints whose sidecars are not uploaded yet."""
    tags = {name: tag for name, tag in there.items() if NAME.fullmatch(name)}
    return {name: tag for name, tag in tags.items() if not name.endswith(".ckpt") or sidecar_of(name) in tags}


def sidecar_of(name: str) -> str:
    return checkpoints.sidecar(Path(name)).as_posix()


def in_order(names: Iterable[str]) -> list[str]:
    """Return names in the order of uploads: checkpoints after other files, then their sidecars."""

    def rank(name: str) -> int:
        if not name.startswith(f"{run_folder.CHECKPOINTS}/"):
            return 0
        return 2 if name.endswith(".json") else 1

    return sorted(names, key=lambda name: (rank(name), name))


def files_of(run: Path) -> list[str]:
    """Return the names of the regular files of a run folder that are copied; raise OSError if there is no folder."""
    os.stat(run)
    names = [path.relative_to(run).as_posix() for path in run.rglob("*")]
    return [name for name in names if NAME.fullmatch(name) and stamp(run / name) is not None]


def stamp(path: Path) -> tuple[int, int] | None:
    """Return size in bytes and time of the last change in nanoseconds of a regular file; None if there is none."""
    try:
        about = path.lstat()
    except OSError:
        return None
    return (about.st_size, about.st_mtime_ns) if stat.S_ISREG(about.st_mode) else None


def read_record(path: Path, address: str) -> dict[str, Known]:
    """Return the files of the last transfer; empty if it was to or from another address."""
    try:
        record = read_json(path)
        if record["address"] != address:
            return {}
        files = {name: values for name, values in record["files"].items() if NAME.fullmatch(name)}
        return {name: Known(int(size), int(time), str(tag)) for name, (size, time, tag) in files.items()}
    except (OSError, ValueError, OverflowError, KeyError, TypeError, AttributeError):
        return {}


# ---- training


def fetch_record(address: str | None, folder: Path, resumes: bool, required: bool = False) -> None:
    """On rank 0, lock the folder, and download the configuration of the run if the folder has none.

    Args:
        address: of the copy; None: do nothing.
        resumes: whether the copy may contain a run.
        required: whether it must.
    """
    if address is None or global_rank() != 0:
        return
    with stored_at(f"remote={address}"):
        remote = RemoteRun(address, folder)
        exists = remote.holds_run()
        if exists and not resumes:
            raise UserError(f"remote={address}: holds a run; use another URL, or resume={address}")
        if not exists and required:
            raise UserError(f"resume={address}: there is no run with a checkpoint; check the URL")
        is_run = run_folder.is_run(folder)
        if exists and is_run and not remote.known:
            raise UserError(f"{folder}: is not the run at {address}; use another folder with hydra.run.dir=")
        from gan.runs import lock  # commands that read a copy need no lock

        lock.make(folder)
        lock.acquire(folder)
        if exists and not is_run:
            tags = remote.store.list()
            for name in run_folder.RECORD:
                remote.store.download(name, folder / name)
                remote.remember(name, tags[name])


def fetch_run(address: str | None, folder: Path) -> None:
    """On rank 0, download what has changed in the copy of a run. Without an address, do nothing."""
    if address is None or global_rank() != 0:
        return
    with stored_at(f"remote={address}"):
        remote = RemoteRun(address, folder)
        if remote.holds_run():
            print_line(f"downloading {address} to {folder}")
        remote.pull()
        remote.write_record()


# ---- commands that read a copy

_used: dict[Path, RemoteRun] = {}  # copies that this process uses, by folder


def download(address: str) -> Path:
    """Return the folder in the cache with an up-to-date copy of a run or a shared model, without its logs."""
    from gan.data.decoding import cache

    address = check_address(address, address)
    digest = hashlib.sha256(address.encode()).hexdigest()[:16]
    remote = RemoteRun(address, cache.folder() / cache.RUNS / digest / address.rpartition("/")[2])
    with stored_at(address):
        if not remote.pull(logs=False):
            raise UserError(f"{address}: there is nothing at this URL")
    _used[remote.run] = remote
    return remote.run


def is_copy(run: Path) -> bool:
    return run in _used


def upload_results() -> None:
    """Upload the files that the command has written to copies, such as scores; raise UserError."""
    while _used:
        _, remote = _used.popitem()
        with stored_at(f"{remote.store.address}: the results are in {remote.run}, but were not uploaded"):
            remote.upload()


def with_addresses(text: str) -> str:
    """Return a path or a message with the addresses of copies in place of their folders."""
    for run, remote in _used.items():
        text = text.replace(str(run), remote.store.address)
    return text
