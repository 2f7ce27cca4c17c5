"""`gan data`: the report on a messy folder, no changes to the folder, and a working suggestion."""

from __future__ import annotations

import errno
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan.commands.data import parse_size
from gan.common.errors import UserError
from gan.data.checks.report import FileInfo, mirrored_fraction, quoted, suggest_size
from tests.conftest import ROOT, TINY, Train, environment


def noise(height: int, width: int, seed: int) -> Image.Image:
    """Return a unique image with large shapes, which perceptual hashes can distinguish."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    folder = tmp_path / "my images"
    for index in range(12):
        path = folder / f"class {index % 2}" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise(96, 64, index).save(path)
    noise(96, 64, 0).save(folder / "class 0" / "copy.bmp")  # equal pixels in another format
    noise(96, 64, 1).save(folder / "class 1" / "near.jpg", quality=60)
    noise(20, 16, 99).convert("L").save(folder / "class 0" / "small.gif")
    (folder / "class 0" / "empty.png").touch()
    (folder / "class 0" / "page.jpg").write_text("<html>")
    (folder / "notes.txt").write_text("not an image")
    return folder


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*"))}


def suggested(folder: Path) -> dict[str, Any]:
    """Return the suggestion of `gan data check`."""
    from gan.data.checks.report import inspect_files, summarize
    from gan.data.sources.files import find

    files = find([str(folder)])
    return summarize(files, inspect_files(files, lambda done: None), None)["suggestion"]


def test_many_images_are_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gan.data.checks.report import command

    monkeypatch.setattr("gan.data.checks.report.MIN_SPLIT", 4)
    (tmp_path / "images").mkdir()
    for count, split in ((3, None), (4, "file"), (5, "content")):
        noise(16, 16, min(count, 4)).save(tmp_path / "images" / f"{count}.png")
        for index in range(count - 1 if count == 3 else 0):
            noise(16, 16, index).save(tmp_path / "images" / f"{index}.png")
        suggestion = suggested(tmp_path / "images")
        assert suggestion["split"] == split
        assert (f"data.split={split}" in command(["images"], suggestion)) is (split is not None)
    assert suggestion["reasons"]["split"] == (
        "a tenth of 5 is enough for validation, and equal images stay on one side"
    )


@pytest.mark.slow
def test_the_report_and_its_suggestion(messy: Path, gan_command: Train, train: Train, tmp_path: Path) -> None:
    before = snapshot(messy)
    words = ["data", "check", str(messy), "--sheet", str(tmp_path / "sheet.png")]
    report = json.loads(gan_command(*words, "--json").stdout)
    assert snapshot(messy) == before
    assert (report["files"], report["readable"]) == (17, 15)
    assert report["unreadable"].keys() == {"class 0/empty.png", "class 0/page.jpg"}
    assert report["formats"] == {"PNG": 12, "BMP": 1, "GIF": 1, "JPEG": 1}
    assert report["others"] == {".txt": 1}
    assert report["sizes"] == {"64x96": 14, "16x20": 1}
    assert report["classes"] == {"class 0": 8, "class 1": 7}
    assert report["duplicates"]["exact"] == [["class 0/0.png", "class 0/copy.bmp"]]
    assert report["duplicates"]["near"] == [["class 1/1.png", "class 1/near.jpg"]]
    assert report["smaller"] == ["class 0/small.gif"]
    suggestion = report["suggestion"]
    assert (suggestion["size"], suggestion["channels"], suggestion["fit"]) == ([96, 64], 3, "crop")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (4 * 66 + 2, 4 * 98 + 2)

    command = shlex.split(suggestion["command"])
    assert command[:3] == ["python", "train.py", "data=folder"]
    tiny = [option for option in TINY if not option.startswith(("data.size", "data.num_images"))]
    said = train(*command[2:], *tiny, "images=8", tiny=False).stdout
    assert "2 of 17 images" in said

    assert "exists already" in gan_command(*words, check=2).stderr


def test_the_report_as_text(messy: Path, gan_command: Train) -> None:
    said = gan_command("data", "check", str(messy), "--size", "24").stdout
    assert "17 images, 15 readable" in said
    assert "'class 0/empty.png': the file is empty" in said
    assert "1 groups of identical images" in said
    assert "1 smaller than 24x24" in said
    assert said.rstrip().splitlines()[-1].startswith("gan train data=folder")


def test_a_folder_of_broken_files(tmp_path: Path, gan_command: Train) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").touch()
    assert "1 images, 0 readable" in gan_command("data", "check", "images").stdout
    assert "there is no folder" in gan_command("data", "check", "absent", check=2).stderr


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda i: noise(32, 32, i).quantize(16).convert("RGBA").resize((32, 32)), {"channels": 3, "size": [32, 32]}),
        (lambda i: noise(64, 64, i).convert("L"), {"channels": 1, "size": [64, 64]}),
        (lambda i: Image.merge("RGBA", (*noise(32, 32, i).split(), Image.radial_gradient("L").resize((32, 32)))),
         {"channels": 4, "size": [32, 32]}),
        (lambda i: noise((40, 400)[i % 2], (400, 40)[i % 2], i), {"size": [64, 64], "fit": "pad"}),
        (lambda i: noise(24, 24, i).quantize(8), {"resample": "nearest", "size": [16, 16]}),
        (lambda i: noise(16, 16, i).quantize(8), {"resample": "auto", "size": [16, 16]}),
        (lambda i: noise(32, 32, i // 2).transpose(Image.Transpose.FLIP_LEFT_RIGHT) if i % 2 else noise(32, 32, i // 2),
         {"flip": True}),
        (lambda i: noise(32, 32, i), {"flip": False}),
    ],
)  # fmt: skip
def test_suggestions(make, expected, tmp_path: Path) -> None:
    for index in range(10):
        make(index).save(tmp_path / f"{index}.png")
    suggestion = suggested(tmp_path)
    assert {name: suggestion[name] for name in expected} == expected


def test_sizes() -> None:
    def of(*sizes: tuple[int, int]) -> tuple[int, int]:
        heights, widths = np.array(sizes).T
        return suggest_size(heights, widths)

    assert of((120, 80)) == (96, 64)
    assert of((60, 40)) == (48, 32)
    assert of((700, 500)) in ((64, 48), (96, 64))
    assert of((1080, 1920)) == (64, 128)
    assert of((8, 8)) == (16, 16)
    assert of((1000, 300), (300, 1000), (500, 500)) == (64, 64)
    assert parse_size("64") == (64, 64) and parse_size("96x64") == (96, 64)
    for wrong in ("", "x", "0", "64x", "1x2x3", "big"):
        with pytest.raises(UserError, match="--size"):
            parse_size(wrong)


def test_symmetric_images_do_not_count_as_mirrored() -> None:
    assert mirrored_fraction([FileInfo(hash=5, mirrored_hash=5), FileInfo(hash=7, mirrored_hash=6)]) == 0


def test_paths_are_quoted_for_hydra() -> None:
    assert quoted("../a_b/c-d.zip") == "../a_b/c-d.zip"
    assert quoted('a "b", c=d') == '"a \\"b\\", c=d"'


@pytest.mark.slow
def test_the_cache_is_listed_and_cleared(messy: Path, gan_command: Train, train: Train, cache: Path) -> None:
    train("data=folder", f'data.root="{messy}"', "images=4")
    listed = gan_command("data", "cache", "--list").stdout
    assert str(messy) in listed and "17 images  16x16x3" in listed
    assert "removed" in gan_command("data", "cache", "--clear").stdout
    assert "in 0 sets" in gan_command("data", "cache", "--list").stdout


@pytest.mark.slow
def test_a_full_disk_under_the_contact_sheet(messy: Path, gan_command: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("gan.images.convert.write_atomically", full)
    error = gan_command("data", "check", str(messy), "--sheet", "sheet.png", check=2).stderr
    assert error.splitlines()[-1] == "error: --sheet sheet.png: cannot be written (No space left on device)"


@pytest.mark.slow
def test_a_full_disk_while_packing(messy: Path, tmp_path: Path) -> None:
    """Files are limited to 1 kB: the processes that write shards fail, with an error of one line."""
    pytest.importorskip("litdata")
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))\n"
        "from gan.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["data", "pack", str(messy / "class 0"), "--out", "shards", "--size", "64"]
    result = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, env=environment() | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert result.returncode == 2, result.stderr
    assert result.stderr == "error: --out shards: cannot be written (File too large); remove its contents\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_c_while_packing(messy: Path, tmp_path: Path) -> None:
    pytest.importorskip("litdata")
    words = [sys.executable, "-m", "gan.cli", "data", "pack", str(messy / "class 0"), "--out", "shards"]
    process = subprocess.Popen(
        words, cwd=tmp_path, env=environment() | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 60
    while len(children.read_text().split()) < 2:  # the first tracks what processes share
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 130, error
    assert "Traceback" not in error
