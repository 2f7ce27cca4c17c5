"""The thread that copies a run folder to object storage."""

import threading
from pathlib import Path
from typing import Any

import pytest

from gan.training import upload as module
from gan.training.upload import Upload
from gan.utils.object_store import StoreError


class Remote:
    """A copy whose uploads end as told, the last one again and again."""

    def __init__(self, outcomes: list[Exception | None]) -> None:
        self.outcomes, self.pushed = outcomes, threading.Semaphore(0)
        self.run, self.store = Path("runs/a"), self
        self.address = "s3://bucket/runs/a"

    def push(self) -> None:
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        self.pushed.release()
        if outcome is not None:
            raise outcome


def uploading(monkeypatch: pytest.MonkeyPatch, *outcomes: Exception | None) -> tuple[Upload, Any]:
    remote = Remote(list(outcomes))
    monkeypatch.setattr(module, "RemoteRun", lambda address, run: remote)
    started = Upload(remote.address, remote.run)
    started.thread.start()
    return started, remote


def test_a_checkpoint_is_uploaded_soon_and_the_rest_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started, remote = uploading(monkeypatch, None)
    started.due.set()
    assert remote.pushed.acquire(timeout=10)
    started.finish()
    assert remote.pushed.acquire(timeout=10)
    assert capsys.readouterr().out == "uploaded to s3://bucket/runs/a\n"
    assert not started.thread.is_alive()


def test_a_store_that_fails_for_a_time(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    started, remote = uploading(monkeypatch, StoreError("the bucket is full"), StoreError("the bucket is full"), None)
    for _ in range(3):
        started.due.set()
        assert remote.pushed.acquire(timeout=10)
    started.finish()
    assert capsys.readouterr().out.splitlines() == [
        "remote=s3://bucket/runs/a: not uploaded (the bucket is full); training continues",
        "remote=s3://bucket/runs/a: uploaded again",
        "uploaded to s3://bucket/runs/a",
    ]


def test_a_store_that_fails_to_the_end(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    started, _ = uploading(monkeypatch, StoreError("the credentials have expired; renew them"))
    started.finish()
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        "remote=s3://bucket/runs/a: the last files were not uploaded (the credentials have expired; renew them); "
        "runs/a contains them; upload them with: gan train resume=runs/a remote=s3://bucket/runs/a"
    )
