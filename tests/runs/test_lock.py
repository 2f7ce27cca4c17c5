"""One process at a time trains into a run folder."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gan.runs import lock, run_folder
from gan.utils.errors import UserError

HOLD = """
import sys, time
from pathlib import Path
from gan.runs import lock
lock.acquire(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (*lock.SCHEDULED, "RANK", "LOCAL_RANK", "SLURM_PROCID", "WORLD_SIZE", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    yield
    lock.release()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start another process that holds the lock of the folder until its standard input is closed."""
    words = [sys.executable, "-c", HOLD, str(tmp_path)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(words, cwd=Path(__file__).parents[2], stdin=pipe, stdout=pipe, text=True)
    assert process.stdout and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        stream.close()


def foreign(run: Path, host: str = "elsewhere", pid: int = 1) -> Path:
    """Write a lock as a process on another machine does."""
    path = run / run_folder.LOCK
    path.write_text(f"filelock/2\npid={pid}\nhost={host}\nmode=lease\ntoken={'0' * 32}\nduration={lock.LEASE!r}\n")
    return path


def test_a_folder_in_use_is_refused_and_free_afterwards(other: subprocess.Popen[str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"process {other.pid} on .* is training in this folder; stop it first"):
        lock.acquire(tmp_path)
    other.stdin.close()
    other.wait()
    lock.acquire(tmp_path)
    assert not lock.is_lost(tmp_path)
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_killed_process_is_taken_over_at_once(other: subprocess.Popen[str], tmp_path: Path) -> None:
    other.kill()
    other.wait()
    assert (tmp_path / run_folder.LOCK).exists()
    lock.acquire(tmp_path)
    assert not lock.is_lost(tmp_path)


def test_a_sweep_keeps_the_lock_of_its_folder_beside_those_of_its_jobs(tmp_path: Path) -> None:
    jobs = [tmp_path / "0", tmp_path / "1"]
    (tmp_path / lock.SWEEP).touch()
    lock.acquire(tmp_path)
    for job in jobs:
        job.mkdir()
        lock.acquire(job)
    assert [lock.is_held(folder) for folder in (tmp_path, *jobs)] == [True, False, True]
    assert "hydra.sweep.dir=" in lock.in_use(tmp_path, None)
    lock.release()
    assert not lock.is_held(tmp_path) and not lock.is_held(jobs[1])


def test_a_lock_of_an_earlier_process_with_the_same_number_is_not_held(
    other: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert lock.is_held(tmp_path)
    path = tmp_path / run_folder.LOCK
    other.kill()
    other.wait()
    path.write_text(path.read_text().replace(f"pid={other.pid}", f"pid={os.getpid()}"))
    os.utime(path, (1, 1))
    assert not lock.is_held(tmp_path)


def test_a_stopped_process_keeps_its_lock(other: subprocess.Popen[str], tmp_path: Path) -> None:
    other.send_signal(signal.SIGSTOP)
    with pytest.raises(UserError, match="is training in this folder"):
        lock.acquire(tmp_path)


def test_a_restarted_job_waits_for_the_previous_one(
    other: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setattr(lock, "print_line", lambda line: (print(line), other.stdin.close()))
    lock.acquire(tmp_path)
    assert "waiting up to 135 s" in capsys.readouterr().out
    assert not lock.is_lost(tmp_path)


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LEASE", 1.5)
    monkeypatch.setattr(lock, "HEARTBEAT", 0.5)


def test_the_lock_of_another_machine_is_taken_over_without_a_heartbeat(short_lease: None, tmp_path: Path) -> None:
    foreign(tmp_path)
    lock.acquire(tmp_path)
    assert not lock.is_lost(tmp_path)


def test_the_lock_of_another_machine_with_a_heartbeat_is_respected(short_lease: None, tmp_path: Path) -> None:
    path = foreign(tmp_path)
    beat = f"import os, time\nwhile True: os.utime({str(path)!r}); time.sleep(0.2)"
    heart = subprocess.Popen([sys.executable, "-c", beat])
    try:
        with pytest.raises(UserError, match="process 1 on elsewhere is training in this folder"):
            lock.acquire(tmp_path)
    finally:
        heart.kill()
        heart.wait()


@pytest.mark.parametrize("how", ["removed", "taken over"])
def test_a_lost_lock_is_noticed(how: str, tmp_path: Path) -> None:
    lock.acquire(tmp_path)
    assert not lock.is_lost(tmp_path) and not lock.is_lost(tmp_path / "other")
    (tmp_path / run_folder.LOCK).unlink()
    if how == "taken over":
        foreign(tmp_path)
    assert lock.is_lost(tmp_path)
    lock.release()
    assert (tmp_path / run_folder.LOCK).exists() == (how == "taken over")


def test_further_ranks_share_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign(tmp_path)
    monkeypatch.setenv("LOCAL_RANK", "1")
    lock.acquire(tmp_path)
    monkeypatch.setenv("RANK", "1")
    lock.acquire(tmp_path)
