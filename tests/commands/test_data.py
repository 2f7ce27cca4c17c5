"""`gan data`: the report on a messy folder, no changes to the folder, and a working suggestion."""

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from PIL import Image

from gan.commands.data import as_text
from gan.config.overrides import as_typed
from gan.data.builtin import retro
from gan.data.checks import (
    FEW,
    PIXEL_ART_START,
    START,
    FileInfo,
    command,
    inspect_file,
    suggest,
    suggest_labels,
    suggest_size,
    suggest_split,
    summarize,
)
from gan.data.sources.files import find
from gan.models.address import zoo_names
from tests.conftest import TINY, Train, run_python
from tests.security.conftest import snapshot


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


def report_of(folder: Path) -> dict[str, Any]:
    """Return the report of `gan data check`, as the command completes it."""
    files = find([str(folder)])
    report = summarize(files, [inspect_file(file) for file in files], None)  # starting processes would be slow
    report["suggestion"]["command"] = command([str(folder)], report["suggestion"])
    return {"folder": [str(folder)]} | report


def suggested(folder: Path) -> dict[str, Any]:
    """Return the suggestion of `gan data check`."""
    return report_of(folder)["suggestion"]


@pytest.mark.slow
def test_the_report_and_its_suggestion(messy: Path, gan_command: Train, train: Train, tmp_path: Path) -> None:
    before = snapshot(messy)
    words = ["data", "check", str(messy), "--sheet", str(tmp_path / "sheet.png")]
    report = json.loads(gan_command(*words, "--json").stdout)
    assert snapshot(messy) == before
    assert (report["files"], report["readable"]) == (17, 15)
    assert report["unreadable"].keys() == {"class 0/empty.png", "class 0/page.jpg"}
    assert report["formats"] == {"PNG": 12, "BMP": 1, "GIF": 1, "JPEG": 1}
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
    assert command[:3] == ["gan", "train", "experiment=few_shot"]
    tiny = [option for option in TINY if not option.startswith(("data.size", "data.num_images"))]
    said = train(*command[2:], *tiny, "images=8", tiny=False).stdout
    assert "2 of 17 images" in said

    assert "exists already" in gan_command(*words, check=2).stderr
    error = gan_command("data", "check", str(messy), "--sheet", str(messy / "class 0" / "sheet.png"), check=2).stderr
    assert "is in the input folder" in error and error.count("\n") == 1


def test_blank_images_are_not_duplicates(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for index, color in enumerate(("white", "white", "black", "#102030")):
        Image.new("RGB", (32, 32), color).save(folder / f"blank{index}.png")
    Image.new("RGBA", (32, 32), (9, 9, 9, 0)).save(folder / "clear.png")
    Image.new("L", (32, 32), 100).save(folder / "scan.jpg", quality=30)
    for index in range(3):
        noise(32, 32, index // 2).save(folder / f"{index}.png")
    report = report_of(folder)
    assert report["blank"] == ["blank0.png", "blank1.png", "blank2.png", "blank3.png", "clear.png", "scan.jpg"]
    assert report["duplicates"] == {"exact": [["0.png", "1.png"]], "near": []}
    assert "blank images, of one color: 6" in as_text(report)


def test_sub_folders_that_look_like_classes(tmp_path: Path) -> None:
    def of(**counts: int) -> tuple[bool, str]:
        return suggest_labels([f"{folder}/{n}.png" for folder, count in counts.items() for n in range(count)])

    assert of(cats=30, dogs=12) == (True, "2 sub-folders look like classes")
    assert of(cats=300, dogs=12, odd=1)[0]
    assert not of(cats=300)[0] and not of(a=3, b=3)[0]
    assert not of(**{f"roll{n}": 5 for n in range(40)})[0]
    assert suggest_labels(["a.png", "b.png"]) == (False, "")
    stray = suggest_labels([*(f"{kind}/{n}.png" for kind in "ab" for n in range(20)), "c.png"])
    assert stray == (False, "2 sub-folders look like classes; for true, move the others (1) into them")
    for index in range(24):
        path = tmp_path / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        noise(16, 16, index).save(path)
    report = report_of(tmp_path)
    assert report["suggestion"]["labels"] and "data.labels=true" in command([str(tmp_path)], report["suggestion"])
    assert "  data.labels=true: 2 sub-folders look like classes" in as_text(report)


def test_pad_is_suggested_where_a_crop_would_cut_much() -> None:
    def of(*sizes: tuple[int, int], size: tuple[int, int] = (64, 64)) -> tuple[str, str]:
        facts = [FileInfo(height=height, width=width, digest=str(n)) for n, (height, width) in enumerate(sizes)]
        suggestion = suggest([str(n) for n in range(len(sizes))], facts, [], [], size)
        return suggestion["fit"], suggestion["reasons"]["fit"]

    assert of((100, 90)) == ("crop", "a crop to 64x64 (height x width) cuts 10% of an image on average")
    fit, reason = of((100, 160), (100, 200))
    assert fit == "pad"
    assert reason.endswith("cuts 44% of an image on average, and up to 50%; pad cuts nothing and adds borders")
    assert of(*[(100, 100)] * 7, *[(100, 300)] * 3)[0] == "pad"  # few lose anything, but they lose most


def test_a_split_that_keeps_alike_images_on_one_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan.data.checks.MIN_SPLIT", 40)
    films = [f"film{n // 4}_{n % 4}.png" for n in range(80)]
    pairs = [[n, n + 1] for n in range(0, 80, 4)]
    assert suggest_split(films[:39], [], pairs, False)[0] is None
    assert suggest_split(films, [], [], False) == ("file", "a tenth of 80 is enough for validation")
    split, reason = suggest_split(films, pairs[:3], pairs[3:], False)
    assert split == "prefix" and "40 images are alike, and files with the same prefix stay on one side" in reason
    decks = [f"deck{n // 4}/{n}.png" for n in range(80)]
    assert suggest_split(decks, [], pairs, False)[0] == "folder"
    assert suggest_split(decks, pairs[:1], pairs, True)[0] == "content"  # folders are classes
    frames = [f"frame_{n}.png" for n in range(80)]  # one prefix for all
    assert suggest_split(frames, pairs, [], False)[0] == "content"
    split, reason = suggest_split(frames, [], pairs, False)
    assert split == "file" and "may be on both sides" in reason


def test_a_folder_of_broken_files(tmp_path: Path, gan_command: Train) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").touch()
    assert "1 image, 0 readable" in gan_command("data", "check", "images", check=3).stdout
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
        (lambda i: noise(32, 32, i).quantize(8), {"pixel_art": True, "start": "zoo:tiles32"}),
        (lambda i: noise(16, 16, i).quantize(8), {"resample": "auto", "size": [16, 16]}),
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


NAMES = ["a b", "a'b", 'a "b", c=d', "a\\b", "a\\'b", "a$b", "end\\", "x[1]{2}", "$(touch canary)", "`touch canary`",
         "*", "a#b: c", "-é 猫", "a\nb", "[list]", "a,b", "'quoted'"]  # fmt: skip


def test_the_suggested_command_names_the_folder_to_the_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        Path(name).mkdir()
    suggestion = suggest(["a"], [FileInfo(height=16, width=16)], [], [], (16, 16))
    given = [*([name] for name in NAMES), NAMES]
    lines = [command(roots, suggestion).replace("gan train", r"printf '%s\0'") for roots in given]
    result = subprocess.run(["bash", "-c", "\n".join(lines)], cwd=tmp_path, capture_output=True, text=True, check=True)
    words = as_typed([word for word in result.stdout.split("\0") if word.startswith("data.root=")])
    for roots, word in zip(given, words, strict=True):
        value = OverridesParser.create().parse_override(word).value()
        found = OmegaConf.create({"roots": value if isinstance(value, list) else [str(value)]}).roots
        assert list(found) == [str(tmp_path / root) for root in roots]
    assert not Path("canary").exists()


def test_a_start_is_suggested() -> None:
    def of(number: int, side: int = 64, width: int | None = None, **properties: bool) -> str:
        size = side, width or side
        facts = [FileInfo(height=size[0], width=size[1], **properties)] * number
        return command(["pictures"], suggest(["a"] * number, facts, [], [], size))

    assert {START, PIXEL_ART_START} <= {f"zoo:{name}" for name in zoo_names()}
    assert of(FEW + 1).startswith("gan train init_from=zoo:start64 freeze.discriminator=2 data.root=")
    assert of(FEW + 1, transparent=True).startswith("gan train init_from=zoo:start64 data.root=")
    assert of(FEW).startswith("gan train experiment=few_shot data.root=")
    assert of(FEW, 32, sprite=True).startswith("gan train experiment=pixel_art init_from=zoo:tiles32 data.root=")
    for size in ((48, 64), (96, 64), (64, 80), (128, 128)):
        assert of(FEW + 1, *size).startswith("gan train init_from=zoo:start64")
    for size in ((16, 16), (256, 256), (50, 50)):
        assert of(FEW + 1, *size).startswith("gan train data.root=")
    assert of(FEW, 64, sprite=True).startswith("gan train experiment=pixel_art data.root=")


@pytest.mark.slow
def test_enlarged_pixel_art_is_reported(tmp_path: Path) -> None:
    for index in range(3):
        large = retro.draw(7, 4 * index + 1, 24, 24).repeat(4, 0).repeat(4, 1)
        Image.fromarray(large).save(tmp_path / f"{index}.png")
    Image.fromarray(retro.draw(7, 2, 96, 96)).save(tmp_path / "other.png")
    files = find([str(tmp_path)])
    facts = [inspect_file(file, searched=files[1:]) for file in files]
    report = {"folder": [str(tmp_path)]} | summarize(files, facts, None)
    assert report["enlarged"] == {"searched": 3, "images": 2, "sizes": {"4x from 24x24": 2}}
    report["suggestion"]["command"] = "gan train"
    assert "enlarged pixel art: 2 of 3 searched images (4x from 24x24 2); restore it with gan" in as_text(report)
    assert "4 images are too few for training" in as_text(report)
    report["enlarged"]["searched"] = 100  # so few may be chance
    assert "enlarged pixel art" not in as_text(report)


@pytest.mark.slow
def test_a_folder_is_unscaled(tmp_path: Path, gan_command: Train) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    sprites = [retro.draw(7, 4 * index + 1, 24, 24) for index in range(3)]
    names = ("a.png", "c.bmp", "deep/b.gif")
    for name, sprite in zip(names, sprites, strict=True):
        Image.fromarray(sprite.repeat(3, 0).repeat(3, 1)).save(tmp_path / "in" / name)
    (tmp_path / "in" / "broken.jpg").write_text("no image")
    said = gan_command("data", "unscale", "in", "out", check=3)
    assert "3 images restored (3x 3)" in said.stdout and "broken.jpg: not a PNG" in said.stderr
    for name, sprite in zip(("a.png", "c.png", "deep/b.png"), sprites, strict=True):
        with Image.open(tmp_path / "out" / name) as image:
            assert np.array_equal(np.asarray(image.convert("RGB")), sprite), name
    before = (tmp_path / "out" / "a.png").stat().st_mtime_ns
    (tmp_path / "in" / "broken.jpg").unlink()
    assert "3 existing files skipped" in gan_command("data", "unscale", "in", "out").stdout
    assert (tmp_path / "out" / "a.png").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["in", "in/out"], "is in the input folder"),
        (["in", "out", "--cell", "1"], "--cell 1: give 2 to"),
    ],
)
def test_wrong_options_of_unscale(words: list[str], said: str, tmp_path: Path, gan_command: Train) -> None:
    (tmp_path / "in").mkdir()
    noise(16, 16, 0).save(tmp_path / "in" / "a.png")
    assert said in gan_command("data", "unscale", *words, check=2).stderr
    assert not (tmp_path / "out").exists()


def test_shards_of_huge_images(messy: Path, gan_command: Train) -> None:
    said = gan_command("data", "pack", str(messy / "class 0"), "--out", "shards", "--size", "65536", check=2).stderr
    assert "size 65536x65536: is more than the limit of 64,000,000 pixels" in said and said.count("\n") == 1


@pytest.mark.slow
def test_a_full_disk_while_packing(messy: Path, tmp_path: Path) -> None:
    """Files are limited to 1 kB: the processes that write shards fail, with an error of one line."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))\n"
        "from gan.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = ["data", "pack", str(messy / "class 0"), "--out", "shards", "--size", "64"]
    result = run_python(["-B", "-c", code, *words], tmp_path)  # -B: compiled modules are files, too, and would be torn
    assert result.returncode == 2, result.stderr
    assert result.stderr == "error: --out shards: cannot be written (File too large); remove its contents\n"
