"""Ctrl-C while a program starts: no traceback, and an end by the signal or exit code 130."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gan.utils import processes
from tests.conftest import ROOT, TINY, environment, run_python
from tests.patience import PATIENCE

TRAIN = [str(ROOT / "train.py"), *TINY, "images=100000", "hydra.run.dir=run"]
GENERATE = ["-m", "gan.cli", "generate", "run", "--seeds", "0-3", "--out", "drawn"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("program", "library"),
    [(TRAIN, "_yaml"), (TRAIN, "libtorch_cpu"), (GENERATE, "_yaml"), (GENERATE, "_multiarray_umath")],
    ids=["train _yaml", "train torch", "generate _yaml", "generate numpy"],
)
def test_in_the_middle_of_imports(program: list[str], library: str, tmp_path: Path) -> None:
    """Send the signal while a package is being imported."""
    (tmp_path / "run").mkdir()
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, *program], cwd=tmp_path, env=environment() | {"PYTHONPATH": str(ROOT)}, text=True,
        stdout=pipe, stderr=pipe,
    )  # fmt: skip
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        if library in Path(f"/proc/{process.pid}/maps").read_text():
            process.send_signal(signal.SIGINT)
            break
        time.sleep(0.001)
    out, error = process.communicate(timeout=PATIENCE)
    if program == GENERATE and library != "_yaml" and process.returncode == 2:
        pytest.skip("it ended before torch was needed")
    assert process.returncode in (-signal.SIGINT, 130), out + error
    assert error == ""


def test_an_ignored_signal_stays_ignored() -> None:
    """Ignore the signal, as nohup does."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        processes.end_silently()
        with processes.as_keyboard_interrupt():
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_of_imports_it_is_raised() -> None:
    """Run in a separate process, because the signal would end the test process."""
    code = """
import signal
from gan.utils import processes
try:
    with processes.as_keyboard_interrupt():
        signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("raised")
"""
    found = run_python(["-c", code], ROOT)
    assert (found.returncode, found.stdout) == (0, "raised\n"), found.stderr


def test_deferred_steps_are_completed_before_the_signal_is_raised() -> None:
    """The signal may also reach an existing thread without a mask, and then the handler of the main thread."""
    code = """
import signal, threading, time
from gan.utils import processes
begun = threading.Event()
other = threading.Thread(target=begun.wait, daemon=True)
other.start()
try:
    with processes.as_keyboard_interrupt(), processes.deferred():
        signal.pthread_kill(other.ident, signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.1)
        print("done")
except KeyboardInterrupt:
    print("raised")
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
begun.set()
"""
    found = run_python(["-c", code], ROOT)
    assert (found.returncode, found.stdout) == (0, "done\nraised\n"), found.stderr


CYCLE = """
import atexit
from gan.utils import processes
processes.skip_at_exit()
class Cycle:
    def __init__(self, name): self.itself, self.name = self, name
    def __del__(self): print("collected", self.name)
Cycle("during work")
import gc
gc.collect()
kept = Cycle("at exit")
atexit.register(print, "exit handler")
"""


def test_nothing_is_collected_at_exit() -> None:
    assert run_python(["-c", CYCLE], ROOT, check=True).stdout == "collected during work\nexit handler\n"


def test_with_triton_everything_is_collected_at_exit() -> None:
    code = CYCLE + "import sys, types\nsys.modules['triton'] = types.ModuleType('triton')\n"
    out = run_python(["-c", code], ROOT, check=True).stdout
    assert out == "collected during work\nexit handler\ncollected at exit\n"
