"""A run folder and its copy in object storage: remote=s3://BUCKET/runs/NAME. No torch.

Training writes to the folder, and uploads changed files to the copy. The process that started last owns the copy
(owner.json). An earlier process checks this before each upload, and stops.
"""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gan.common.files import write_json
from gan.common.object_store import Found, Missing, Store
from gan.common.output import print_line
from gan.common.untrusted import MAX_JSON, parse_json, read_json
from gan.run import checkpoints, run_folder

OWNER = "owner.json"  # object with the process that owns the copy
DOWNLOADING = "downloading"  # in the record in place of the owner: the folder is of this run, but not up to date
PART = r"[\w@=+-][\w.@=+-]*"
NAME = re.compile(rf"(?:{PART}/){{0,3}}{PART}", re.ASCII)  # no part begins with a dot, as names of partial files do
ATTEMPTS = 5  # to download a copy from which training removes checkpoints meanwhile
LOGS = re.compile(r"events\.out\.tfevents\..*|wandb/.*|mlruns/.*")  # not needed by commands that read a run
Stamp = tuple[int, int]  # size in bytes, time of the last change in nanoseconds


class Known(NamedTuple):
    """Size, time and tag of a file at its last transfer, when folder and copy had the same content."""

    size: int
    changed: int
    tag: str


class TakenOver(Exception):
    """Another process owns the copy."""


class RemoteRun:
    """A run folder and its copy.

    Args:
        address: address of the copy.
        run: the run folder, which may not exist yet.

    Raises:
        UserError: as `Store`.
    """

    def __init__(self, address: str, run: Path) -> None:
        self.store = Store(address)
        self.run = run
        self.owner, self.known = read_record(run / run_folder.REMOTE, self.store.address)  # as of the last transfer

    def holds_run(self) -> bool:
        """Return whether the copy has a checkpoint; raise StoreError."""
        return any(name.startswith(f"{run_folder.CHECKPOINTS}/") for name in self.store.list())

    def claim(self) -> bool:
        """Become the owner of the copy. Return whether this folder was its last owner. Raise StoreError."""
        was_ours = bool(self.owner) and parse_owner(self.store.read(OWNER)) == self.owner
        self.owner = os.urandom(16).hex()
        about = {"owner": self.owner, "host": socket.gethostname(), "time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
        self.store.write(OWNER, json.dumps(about).encode())
        return was_ours

    def pull(self, newest_here: bool = False, logs: bool = True) -> bool:
        """Download the files that have changed in the copy. Return False, and do nothing, if there is no copy.

        Args:
            newest_here: whether this folder was the last owner of the copy. If so, its changes are kept, because they
                were not uploaded yet. Otherwise they are replaced, and checkpoints that were never in the copy are
                moved aside.
            logs: also download logs for TensorBoard and others.

        Raises:
            StoreError: the store cannot be read.
            OSError: the folder cannot be written.
        """
        for attempt in range(ATTEMPTS):
            if not (listed := self.store.list()):
                return False
            there = complete(listed)
            try:
                self.download(there, newest_here, logs)
                break
            except Missing:  # training into the copy goes on, and has removed an old checkpoint
                if attempt == ATTEMPTS - 1:
                    raise
        if not newest_here:
            self.drop(path for path in checkpoints.list_checkpoints(self.run) if self.name_of(path) not in there)
        self.write_record()
        return True

    def download(self, there: dict[str, Found], newest_here: bool, logs: bool) -> None:
        """Download the objects that have changed; see `pull`."""
        for name in in_order(there):
            known, here = self.known.get(name), stamp(self.run / name)
            same = known is not None and known.tag == there[name].tag and here == (known.size, known.changed)
            if same or (newest_here and here is not None) or (not logs and LOGS.fullmatch(name)):
                continue
            self.store.download(name, self.run / name)
            self.remember(name, there[name])

    def drop(self, paths: Iterable[Path]) -> None:
        """Remove checkpoints that were removed from the copy; move aside those that were never in it."""
        aside = []
        for path in paths:
            if self.known.pop(self.name_of(path), None) is None:
                aside.append(path)
            else:
                checkpoints.remove(path)
        if aside:
            folder = checkpoints.set_aside(self.run, aside)
            print_line(
                f"{self.store.address} was continued elsewhere: moved later checkpoints of {self.run} to {folder}"
            )

    def push(self) -> None:
        """Upload changed files, then remove from the copy the checkpoints that the folder no longer has.

        If owner.json was removed or damaged, upload all files again, because others may be missing too.
        A checkpoint is uploaded before its sidecar, and best.json last, so the copy is consistent at any time.

        Raises:
            TakenOver: another process owns the copy; nothing was changed.
            StoreError: the store cannot be written; the next call continues.
            OSError: the folder cannot be read.
        """
        owner = parse_owner(self.store.read(OWNER))
        if not owner:  # the copy was removed
            self.known.clear()
            self.claim()
        elif owner != self.owner:
            raise TakenOver(f"another process has started to train into {self.store.address}")
        here = files_of(self.run)
        self.upload_changed(here)
        self.remove_gone(set(here))
        self.write_record()

    def remove_gone(self, here: set[str]) -> None:
        """Remove checkpoints that are not in `here` from the copy, if it keeps one that is; raise StoreError."""
        kept = self.known.keys() & here
        if not any(name.endswith(".ckpt") and sidecar_of(name) in kept for name in kept):
            return  # the folder or its disk was removed, or training replaced the checkpoint before its upload
        gone = [name for name in self.known if name.startswith(f"{run_folder.CHECKPOINTS}/") and name not in here]
        for name in reversed(in_order(gone)):
            self.store.remove(name)
            del self.known[name]

    def upload_changed(self, names: Iterable[str]) -> None:
        """Upload the files with these names that have changed; raise StoreError."""
        for name in in_order(names):
            here, known = stamp(self.run / name), self.known.get(name)
            if here is None or (known is not None and here == (known.size, known.changed)):
                continue
            try:
                self.store.upload(self.run / name, name)
            except (FileNotFoundError, Missing):
                if (self.run / name).exists():
                    raise
                continue  # training has removed an old checkpoint
            self.known[name] = Known(*here, self.store.about(name).tag)

    def upload_results(self) -> None:
        """Upload changed files, whoever owns the copy: a command has written scores and the like. Raise StoreError."""
        self.upload_changed(files_of(self.run))
        self.write_record()

    def remember(self, name: str, found: Found) -> None:
        if (here := stamp(self.run / name)) is not None:
            self.known[name] = Known(*here, found.tag)

    def name_of(self, path: Path) -> str:
        return path.relative_to(self.run).as_posix()

    def write_record(self, downloading: bool = False) -> None:
        owner = DOWNLOADING if downloading else self.owner
        about = {"address": self.store.address, "owner": owner, "files": self.known}
        write_json(self.run / run_folder.REMOTE, about)


def complete(there: dict[str, Found]) -> dict[str, Found]:
    """Return the objects of a run, without checkpoints whose sidecars are not uploaded yet."""
    found = {name: about for name, about in there.items() if NAME.fullmatch(name) and name != OWNER}
    return {name: about for name, about in found.items() if not name.endswith(".ckpt") or sidecar_of(name) in found}


def sidecar_of(name: str) -> str:
    """Return the name of the sidecar of a checkpoint."""
    return checkpoints.sidecar(Path(name)).as_posix()


def in_order(names: Iterable[str]) -> list[str]:
    """Return names in the order of uploads: checkpoints after other files, then their sidecars, then best.json."""

    def rank(name: str) -> int:
        if not name.startswith(f"{run_folder.CHECKPOINTS}/"):
            return 0
        return 3 if name.endswith(checkpoints.BEST) else 2 if name.endswith(".json") else 1

    return sorted(names, key=lambda name: (rank(name), name))


def files_of(run: Path) -> list[str]:
    """Return the names of the regular files of a run folder that are copied; raise OSError if it cannot be read."""

    def stop(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError) or not run.exists():  # a logger may remove its own folders
            raise error

    found = []
    for folder, folders, names in os.walk(run, onerror=stop):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder, name).relative_to(run).as_posix() for name in names]
    return [name for name in found if NAME.fullmatch(name) and name != OWNER and stamp(run / name) is not None]


def stamp(path: Path) -> Stamp | None:
    """Return size and time of the last change of a regular file; None if there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def read_record(path: Path, address: str) -> tuple[str, dict[str, Known]]:
    """Return the owner and the files of the last transfer; empty if it was to or from another address."""
    try:
        found = read_json(path)
        if found["address"] != address:
            return "", {}
        files = {str(name): Known(int(size), int(time), str(tag)) for name, (size, time, tag) in found["files"].items()}
        return str(found["owner"]), {name: known for name, known in files.items() if NAME.fullmatch(name)}
    except (OSError, ValueError, OverflowError, KeyError, TypeError, AttributeError):
        return "", {}


def parse_owner(content: bytes | None) -> str:
    """Return the owner in an owner.json; empty if there is none, or it is damaged."""
    try:
        found = parse_json(content[:MAX_JSON]) if content else {}
    except ValueError:
        return ""
    return str(found.get("owner", "")) if isinstance(found, dict) else ""
