"""Shared fixtures: a cache for the tests, a tiny run, and the command line as a user types it."""

import contextlib
import gc
import io
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gan.cli import main
from gan.training import EXPECTED_WARNINGS
from tests.patience import PATIENCE
from tests.programs import ROOT, Forked, environment

# A background job of a shell ignores Ctrl-C, and so would all processes that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it

# Before torch is imported: threads of several workers would compete for cores, and tests use the CPU.
os.environ |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

TINY = [
    "data.size=16", "data.batch_size=4", "data.num_images=24", "data.split=null", "model.generator.width=4",
    "model.generator.full_size_channels=0", "model.discriminator.width=4", "model.generator.latent_dim=8",
    "model.log_interval=8", "callback.samples.interval=16", "callback.samples.first=16",
    "callback.samples.num_images=4", "callback.health.interval=16", "callback.health.first=16",
    "callback.health.num_images=8", "callback.health.silent=0", "callback.evaluate.interval=16",
    "callback.evaluate.first=16", "callback.evaluate.num_images=8", "callback.evaluate.extractors=[random_conv]",
    "objective=eval/kid_x1000_random_conv", "callback.checkpoint.interval=8", "callback.progress.plain_interval=0",
]  # seconds a run  # fmt: skip


# They start first, so that no other worker is idle while one runs the last long test.
LONG = (
    "tests/test_docs.py::test_site",
    "tests/test_card.py",
    "tests/training/test_memory.py",
    "tests/test_docs.py",
    "tests/commands/test_train.py",
)

gc.disable()  # until all tests are collected, which makes objects that stay


@pytest.hookimpl(tryfirst=True)  # before tests are left out by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "train" in getattr(item, "fixturenames", ()):  # a training in a process of its own takes seconds
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: next((n for n, name in enumerate(LONG) if item.nodeid.startswith(name)), len(LONG)))


def pytest_collection_finish() -> None:
    gc.freeze()  # the collections that tests cause look through their own objects only
    gc.enable()


EXPECTED_ON_NEW_PYTHON = (
    ".*unclosed database.*",  # of Optuna and MLflow, which close none
    ".*Guards may run slower on Python 3.13.0.*",  # torch.compile
)


def pytest_configure(config: pytest.Config) -> None:
    for message in (*EXPECTED_WARNINGS, *EXPECTED_ON_NEW_PYTHON):
        config.addinivalue_line("filterwarnings", f"ignore:{message}")


Train = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("cache")
    os.environ["RETRO_GAN_CACHE"] = str(folder)
    yield folder


@pytest.fixture(autouse=True)
def unlocked() -> Iterator[None]:
    """Release the lock of a run folder that a test holds in this process."""
    yield
    if "gan.runs.lock" in sys.modules:
        sys.modules["gan.runs.lock"].release()


def command(script: list[str], folder: Path, check: int | None = 0) -> subprocess.CompletedProcess[str]:
    """Run Python in a new process, and train.py and files of tests/ in a `Forked` one."""
    if Path(script[0]).is_relative_to(ROOT) or (script[0] == "-m" and script[1].startswith("tests.")):
        with tempfile.TemporaryDirectory() as outputs:
            forked = Forked(script, folder, Path(outputs, "out"), Path(outputs, "error"))
            out, error = forked.communicate()
        result = subprocess.CompletedProcess(script, forked.wait(), out, error)
    else:
        result = subprocess.run(
            [sys.executable, *script], cwd=folder, env=environment(), capture_output=True, text=True, timeout=PATIENCE
        )
    if check is not None:
        assert result.returncode == check, f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result


def run_python(words: list[str], folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run Python in a new process that finds this project, and return its result."""
    env = environment() | {"PYTHONPATH": str(ROOT)}
    shared: dict[str, Any] = {"cwd": folder, "env": env, "capture_output": True, "text": True, "timeout": PATIENCE}
    return subprocess.run([sys.executable, *words], **(shared | options))


@contextlib.contextmanager
def full_disk(size: int) -> Iterator[None]:
    """A context in which a file cannot become larger than `size` bytes."""
    limit, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """Run train.py with tiny settings in an empty folder; `check` is the expected exit code."""

    def run(*overrides: str, tiny: bool = True, check: int | None = 0) -> subprocess.CompletedProcess[str]:
        flags = [word for word in overrides if word.startswith("-")]
        rest = [word for word in overrides if not word.startswith("-")]
        settings = TINY if tiny else []
        if "data=folder" in rest:
            settings = [setting for setting in settings if not setting.startswith("data.num_images")]
        return command([str(ROOT / "train.py"), *flags, *settings, *rest], tmp_path, check)

    return run


@pytest.fixture
def gan_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Run the `gan` command in an empty folder and in this process, which has already imported torch."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str, check: int = 0) -> subprocess.CompletedProcess[str]:
        out, error = io.StringIO(), io.StringIO()
        with contextlib.chdir(tmp_path), contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            code = main(words)
        assert code == check, f"exit {code}\n{out.getvalue()}\n{error.getvalue()}"
        return subprocess.CompletedProcess(words, code, out.getvalue(), error.getvalue())

    return run
