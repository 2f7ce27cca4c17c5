"""Copies of runs in object storage, for commands that read a run: gan generate s3://BUCKET/runs/NAME. No torch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from gan.common.errors import UserError
from gan.common.object_store import check_address, stored_at

if TYPE_CHECKING:
    from gan.run.remote_run import RemoteRun

_used: dict[Path, RemoteRun] = {}  # copies that this process uses, by folder


def download(address: str) -> Path:
    """Return the folder in the cache with an up-to-date copy of a run or a shared model, without its logs.

    Raises:
        UserError: there is nothing at the address, or its store cannot be used.
    """
    address = check_address(address, address)
    digest = hashlib.sha256(address.encode()).hexdigest()[:16]
    from gan.data.decoding import cache  # imports NumPy
    from gan.run.remote_run import RemoteRun  # imports sockets

    remote = RemoteRun(address, cache.folder() / cache.RUNS / digest / address.rpartition("/")[2])
    with stored_at(address):
        if not remote.pull(logs=False):
            raise UserError(f"{address}: there is nothing at this URL")
    _used[remote.run] = remote
    return remote.run


def is_copy(run: Path) -> bool:
    """Return whether this process has downloaded a folder."""
    return run in _used


def upload_results() -> None:
    """Upload the files that the command has written to copies, such as scores; raise UserError."""
    while _used:
        _, remote = _used.popitem()
        with stored_at(f"{remote.store.address}: the results are in {remote.run}, but were not uploaded"):
            remote.upload_results()


def with_addresses(text: str) -> str:
    """Return a path or a message with the addresses of copies in place of their folders."""
    for run, remote in _used.items():
        text = text.replace(str(run), remote.store.address)
    return text
