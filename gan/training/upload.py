"""Upload the run folder to object storage during training, in a separate thread."""

from __future__ import annotations

import threading
from pathlib import Path

from gan.runs.remote import RemoteRun
from gan.utils.errors import describe_os_error, train_command
from gan.utils.object_store import StoreError
from gan.utils.output import print_line

INTERVAL = 300.0  # seconds between two uploads without a checkpoint, so that TensorBoard can show new logs


class Upload:
    """Uploads changed files of the run folder after each checkpoint and every INTERVAL seconds.

    If an upload fails, it prints a line, training continues, and the next upload tries again.

    Args:
        address: address of the copy, such as s3://BUCKET/runs/NAME.
        run: the run folder, prepared by `gan.runs.remote`.
    """

    def __init__(self, address: str, run: Path) -> None:
        self.remote = RemoteRun(address, run)
        self.due, self.ending = threading.Event(), threading.Event()  # `due` requests an upload
        self.failure = ""  # why the last upload failed
        self.thread = threading.Thread(target=self.work, name="upload", daemon=True)

    def work(self) -> None:
        while not self.ending.is_set():
            self.due.wait(INTERVAL)
            self.due.clear()
            if not self.ending.is_set():
                self.push()

    def push(self) -> None:
        """Upload once. Print a line at the first failure, and when uploads work again."""
        try:
            self.remote.push()
        except (StoreError, OSError) as error:
            reason = describe_os_error(error) if isinstance(error, OSError) else str(error)
            if not self.failure:
                print_line(f"remote={self.remote.store.address}: not uploaded ({reason}); training continues")
            self.failure = reason
        else:
            if self.failure:
                print_line(f"remote={self.remote.store.address}: uploaded again")
            self.failure = ""

    def finish(self) -> None:
        """Upload the remaining files. If that fails, print a command that uploads them later."""
        if not self.thread.is_alive():
            return
        self.ending.set()
        self.due.set()
        self.thread.join()
        self.push()
        address, run = self.remote.store.address, self.remote.run
        if not self.failure:
            print_line(f"uploaded to {address}")
        else:
            later = f"{run} contains them; upload them with: {train_command()} resume={run} remote={address}"
            print_line(f"remote={address}: the last files were not uploaded ({self.failure}); {later}")
