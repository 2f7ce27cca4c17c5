"""Parallel work: in order, complete, and robust against crashing processes."""

import errno
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gan.data.decoding import pool
from gan.data.decoding.reader import ImageError
from tests.conftest import ROOT
from tests.patience import PATIENCE


def square(task: int) -> int:
    return task * task


def deadly(task: int) -> int:
    if task in (13, 300) and multiprocessing.parent_process() is not None:
        os._exit(1)
    return task * task


def fail(task: int) -> int:
    raise OSError(28, "No space left on device")


def where(task: int) -> int:
    return os.getpid()


def busy(task: int) -> int:
    while task == 13:
        pass
    return task


def burst(task: int) -> int:
    """Allocate and write more memory than a process may use."""
    try:
        return len(bytes(1 << 31))
    except MemoryError:
        return -1


@pytest.mark.parametrize(
    ("count", "trusted", "processes"), [(0, False, 2), (1, True, 1), (700, False, 1), (700, True, 2)]
)
def test_results_are_in_order(count: int, trusted: bool, processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "cores", lambda: processes)
    found = pool.parallel_map(square, range(count), square, trusted)
    assert list(chain.from_iterable(found)) == [n * n for n in range(count)]


@pytest.mark.parametrize("processes", [1, 2])
def test_untrusted_files_are_never_read_in_this_process(processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "cores", lambda: processes)
    assert os.getpid() not in chain.from_iterable(pool.parallel_map(where, range(3), where))
    assert {*chain.from_iterable(pool.parallel_map(where, range(3), where, trusted=True))} == {os.getpid()}


@pytest.mark.parametrize("processes", [1, 2])
def test_a_crashing_task_is_skipped(processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "cores", lambda: processes)
    results = list(chain.from_iterable(pool.parallel_map(deadly, range(400), lambda task: -1)))
    assert results == [-1 if n in (13, 300) else n * n for n in range(400)]
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("error", [OSError("handle is closed"), OSError(errno.EBADF, "Bad file descriptor")])
def test_a_pool_that_breaks_while_it_starts_a_process(error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    """submit may start a process with connections that the pool's own thread has just closed."""
    submit, calls = pool.ProcessPoolExecutor.submit, iter(range(1000))

    def breaks(self: ProcessPoolExecutor, *arguments: Any) -> Any:
        if next(calls) == 3:
            raise error
        return submit(self, *arguments)

    monkeypatch.setattr(pool.ProcessPoolExecutor, "submit", breaks)
    results = list(chain.from_iterable(pool.parallel_map(square, range(400), lambda task: -1)))
    assert results == [n * n for n in range(400)]


def test_a_task_that_never_ends_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MAX_SECONDS", 1)
    results = list(chain.from_iterable(pool.parallel_map(busy, range(20), lambda task: -1)))
    assert results == [-1 if n == 13 else n for n in range(20)]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such limit")
def test_a_task_cannot_take_all_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "available_memory", lambda: 0)
    assert list(chain.from_iterable(pool.parallel_map(burst, range(2), burst))) == [-1, -1]


def test_an_isolated_process_is_restarted() -> None:
    with pool.IsolatedProcess() as apart:
        assert apart(square, 3) == 9 and apart(where, 0) != os.getpid()
        with pytest.raises(ImageError, match="crashed"):
            apart(deadly, 13)
        with pytest.raises(OSError, match="No space"):
            apart(fail, 0)
        assert apart(square, 4) == 16
    assert not multiprocessing.active_children()


def test_processes_import_the_same_code(tmp_path: Path) -> None:
    """Another version is installed, and the checkout is used from another folder."""
    (tmp_path / "old" / "gan").mkdir(parents=True)
    (tmp_path / "old" / "gan" / "__init__.py").touch()
    script = tmp_path / "script.py"
    lines = ["import sys", f"sys.path.insert(0, {str(ROOT)!r})", "from gan.data.builtin import retro"]
    lines += ["from gan.data.decoding import pool"]
    lines += ["if __name__ == '__main__':", "    with pool.IsolatedProcess() as apart:"]
    lines += ["        apart(retro.draw, 0, 0, 16, 16)"]
    script.write_text("\n".join(lines))
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "old")}
    result = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 0 and result.stderr == "", result.stderr


@pytest.mark.parametrize("method", ["forkserver", "spawn"])  # spawn: as on macOS
@pytest.mark.parametrize("program", ["a command", "a script"])
def test_no_process_imports_from_the_current_folder(program: str, method: str, tmp_path: Path) -> None:
    """A downloaded folder may contain files such as threading.py, which the resource tracker imports."""
    folder, script = tmp_path / "images", tmp_path / "script.py"
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / "0.png")
    for name in ("threading", "signal", "types", "random", "json"):
        (folder / f"{name}.py").write_text("open('executed', 'a').close()")
    command = ["from gan.cli import main", "if __name__ == '__main__':", "    main(['data', 'check', '.'])"]
    own = ["from gan.data.decoding import pool", "if __name__ == '__main__':"]
    own += ["    print([*pool.parallel_map(abs, [-1, -2], abs)])"]
    lines = ["import multiprocessing", f"multiprocessing.get_all_start_methods = lambda: [{method!r}]"]
    script.write_text("\n".join(lines + (command if program == "a command" else own)))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    environment |= {"PYTHONPATH": str(ROOT), "RETRO_GAN_CACHE": str(tmp_path / "cache")}
    words = [sys.executable, str(script)]
    result = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 0 and result.stdout and "Traceback" not in result.stderr, result.stderr
    assert not (folder / "executed").exists()


def test_processes_end_when_the_main_process_is_killed(tmp_path: Path) -> None:
    lines = ["import os", "from tests.data.decoding import test_pool", "from gan.data.decoding import pool"]
    lines += ["if __name__ == '__main__':", "    pool.IsolatedProcess()(test_pool.square, 1)", "    os.abort()"]
    script = tmp_path / "script.py"
    script.write_text("\n".join(lines))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, str(script)]
    # It returns when all processes that hold the pipe have ended.
    result = subprocess.run(words, env=environment, capture_output=True, timeout=PATIENCE)
    assert result.returncode not in (0, 1)


def test_a_script_without_main_guard_raises(tmp_path: Path) -> None:
    """Worker processes run the script again while they start, and must not wait for the lock of the first process."""
    for number in range(40):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}.png")
    script = tmp_path / "script.py"
    lines = ("import sys", "from gan.data.decoding import cache, decode", "from gan.data.sources import files")
    script.write_text("\n".join((*lines, "cache.load_images(files.ImageFiles(sys.argv[1:]), decode.Decoder((8, 8)))")))
    environment = os.environ | {"RETRO_GAN_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    words = [sys.executable, str(script), str(tmp_path)]
    result = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 1
    assert result.stderr.rstrip().endswith('below if __name__ == "__main__":')
