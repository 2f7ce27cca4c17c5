"""Prepare a run with a copy in object storage: remote=s3://BUCKET/runs/NAME, or resume= with this address."""

from __future__ import annotations

from pathlib import Path

from gan.common.errors import UserError
from gan.common.object_store import check_address, is_remote, stored_at
from gan.common.output import print_line
from gan.common.processes import global_rank, num_external_ranks
from gan.run import run_folder, untrained
from gan.run.lock import acquire
from gan.run.overrides import typed_value, without
from gan.run.paths import quote
from gan.run.remote_run import RemoteRun

RUNS = Path("runs")  # folder of the run, if none was typed


def with_remote(typed: list[str]) -> list[str]:
    """Return the overrides of a run, with the address of its copy as `remote` and its folder as `hydra.run.dir`.

    resume= with an address becomes resume= with the folder. Overrides without an address stay as they are.

    Raises:
        UserError: the address is not valid.
    """
    resume, remote = typed_value(typed, "resume"), typed_value(typed, "remote")
    if is_remote(resume):
        if num_external_ranks() > 1:
            raise UserError(f"resume={resume}: under torchrun or SLURM, write remote={resume} resume=auto")
        remote = resume
    if remote is None:
        return typed
    address = check_address(f"remote={remote}", str(remote))
    folder = typed_value(typed, "hydra.run.dir") or RUNS / address.rpartition("/")[2]
    if resume not in (None, "auto") and not is_remote(resume):  # a run folder or a checkpoint
        folder = run_folder.folder_of(Path(str(resume)))
    words = [f"hydra.run.dir={quote(str(folder))}", f"remote={quote(address)}"]
    if is_remote(resume):
        return [*without(typed, "hydra.run.dir", "remote", "resume"), *words, f"resume={quote(str(folder))}"]
    return [*without(typed, "hydra.run.dir", "remote"), *words]


def fetch_record(typed: list[str], required: bool = False) -> None:
    """On rank 0, lock the folder, and download the configuration of the run if the folder has none.

    `take_over` follows when the configuration was checked, because it stops another process that trains this run.

    Args:
        typed: what `with_remote` has returned. Without an address, this function does nothing.
        required: whether the copy must contain a run.

    Raises:
        UserError: the store cannot be used, or the copy and the folder are different runs.
    """
    address, folder = typed_value(typed, "remote"), Path(str(typed_value(typed, "hydra.run.dir")))
    if address is None or global_rank() != 0:
        return
    with stored_at(f"remote={address}"):
        remote = RemoteRun(address, folder)
        exists, known = remote.holds_run(), run_folder.is_run(folder)
        if exists and typed_value(typed, "resume") is None:
            raise UserError(f"remote={address}: holds a run; use another URL, or resume={address}")
        if not exists and required:
            raise UserError(f"resume={address}: there is no run with a checkpoint; check the URL")
        if exists and known and not remote.owner:
            raise UserError(f"{folder}: is not the run at {address}; use another folder with hydra.run.dir=")
        untrained.make(folder)
        acquire(folder)
        if exists and not known:
            remote.write_record(downloading=True)  # if this process is killed, the next one goes on
            for name in run_folder.RECORD:
                remote.store.download(name, folder / name)


def take_over(address: str | None, folder: Path) -> None:
    """On rank 0, become the owner of a copy, and download what has changed. Without an address, do nothing.

    Raises:
        UserError: the store cannot be used.
    """
    if address is None or global_rank() != 0:
        return
    with stored_at(f"remote={address}"):
        remote = RemoteRun(address, folder)
        exists = remote.holds_run()
        if not exists:
            remote.known.clear()  # the copy was removed
        newest_here = remote.claim()
        remote.write_record(downloading=exists and not newest_here)
        if exists:
            if not newest_here:
                print_line(f"downloading {address} to {folder}")
            remote.pull(newest_here)
        remote.write_record()
