"""Windows, as far as another system can show it: without fork, signals and modules of POSIX, and with its files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from gan.common import code, files
from gan.common.files import file_name
from gan.run.paths import quote
from tests.conftest import ROOT, TINY, environment


@pytest.mark.slow
def test_train_resume_generate_and_check(tmp_path: Path) -> None:
    """The decoders and the workers of the data loader are spawned, and start from the script again, as on Windows."""
    for index in range(12):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.new("RGB", (20, 20), (20 * index, 0, 0)).save(tmp_path / "pictures" / f"日本語 {index}.png")
    options = [word for word in TINY if not word.startswith("data.num_images")]
    words = [*options, "data=folder", "data.root=pictures", "data.num_workers=1", "images=16"]
    variables = environment() | {"PYTHONPATH": str(ROOT), "RETRO_GAN_CACHE": str(tmp_path / "cache")}
    run = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "windows.py"), *words], cwd=tmp_path, env=variables,
        capture_output=True, encoding="cp1252",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.endswith("done\n") and "Traceback" not in run.stderr
    assert len(list((tmp_path / "out").glob("*.png"))) == 5


def test_a_file_that_another_program_reads_is_replaced_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "new").write_text("new")
    attempts = []
    really = os.replace

    def busy(source: Path, target: Path) -> None:
        attempts.append(target)
        if len(attempts) < 3:
            raise PermissionError(13, "Permission denied")
        really(source, target)

    monkeypatch.setattr(os, "replace", busy)
    with pytest.raises(PermissionError):  # elsewhere waiting does not help
        files.replace(tmp_path / "new", tmp_path / "old")
    monkeypatch.setattr(files, "WINDOWS", True)
    files.replace(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text() == "new" and len(attempts) == 3


def test_folders_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(files, "WINDOWS", True)
    monkeypatch.setattr(os, "open", refuse)
    files.write_json(tmp_path / "a" / "b.json", 1)
    assert (tmp_path / "a" / "b.json").read_text() == "1\n"


def test_a_process_is_never_ended_to_find_out_whether_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "WINDOWS", True)
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("os.kill ends a process on Windows"))
    assert files.is_alive(os.getpid())


@pytest.mark.parametrize("name", ["a:b", "con", "nul.txt", "a\\b", "a?", "trailing."])
def test_names_that_windows_refuses_are_changed(name: str) -> None:
    changed = file_name(name, ".png")
    assert changed != name + ".png" and not set(':\\?*"<>|') & set(changed)


def test_paths_of_windows_survive_the_grammar_of_hydra() -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    for path in ("C:\\runs\\it's", "C:\\", "\\\\server\\share\\a b\\"):
        assert OverridesParser.create().parse_override(f"resume={quote(path)}").value() == path


def test_the_revision_of_another_repository_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment is often inside of the user's own repository."""
    assert code.git_revision() is None or len(str(code.git_revision())) >= 40
    package = tmp_path / "site-packages" / "gan" / "common" / "revision.py"
    monkeypatch.setattr(code, "__file__", str(package))
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=False)
    assert code.git_revision() is None
