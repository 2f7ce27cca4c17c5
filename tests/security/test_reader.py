"""The first door: JSON and YAML of strangers pass one reader with limits, wherever a command reads them."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from gan.config.resume import words_of_resumed_run
from gan.data.decoding import cache
from gan.data.decoding.decode import Decoder
from gan.data.sources.files import ImageFiles
from gan.runs import checkpoints, run_folder
from gan.utils.errors import UserError
from gan.utils.untrusted import MAX_BYTES, MAX_JSON, MAX_NODES, read_json, read_yaml

from .checkpoints import write_classifier, write_run, write_shared
from .conftest import Cage, peak

GENERATE = ("--out", "out", "--seeds", "0")
MEMORY = 3 << 30  # bytes of address space; torch is not imported before a folder is refused

YAML: dict[str, bytes] = {
    "code": b"x: !!python/object/apply:os.system ['touch ../canary']\n",
    "a tag": b"x: !!binary aGVsbG8=\n",
    "nested aliases": b"a: &a [x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (c, c, b",".join([b"*%c" % (c - 1)] * 9)) for c in range(98, 106)),
    "itself": b"a: &a {b: *a}\n",
    "deep lists": b"[" * 10_000,
    "deep maps": b"{a: " * 10_000,
    "deep blocks": b"".join(b" " * depth + b"a:\n" for depth in range(600)),
    "large": b"- seed=" + b"1" * MAX_BYTES,
    "many entries": b"- 1\n" * MAX_NODES,
    "a long string": b"x: " + b"y" * 10_000,
    "a large number": b"- " + b"9" * 5000 + b"\n",
    "a date": b"x: 2020-01-01\n",
    "numbers for names": b"1: 2\n",
    "no text": bytes(range(256)),
    "not closed": b"[seed=1",
}
JSON: dict[str, bytes] = {
    "deep": b'{"items": ' + b"[" * 200_000,
    "large": b" " * MAX_JSON + b"{}",
    "no text": b"\xff\xfe\x00\xd8",
    "nothing": b"",
    "not closed": b"{",
}


def refused(read: Callable[[Path], object], path: Path) -> None:
    before = peak()
    with pytest.raises((UserError, ValueError)) as caught:
        read(path)
    assert len(str(caught.value)) < 600 and "\n" not in str(caught.value)
    assert peak() - before < 100 << 20


@pytest.mark.parametrize("content", [*YAML.values(), None], ids=[*YAML, "pipe"])
def test_yaml_is_plain_and_limited(content: bytes | None, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x") if content is None else (tmp_path / "x").write_bytes(content)
    refused(read_yaml, tmp_path / "x")


@pytest.mark.parametrize("content", [*JSON.values(), None], ids=[*JSON, "pipe"])
def test_json_is_limited(content: bytes | None, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x") if content is None else (tmp_path / "x").write_bytes(content)
    refused(read_json, tmp_path / "x")


def run_file(name: str, *command: str) -> Callable[[Cage, Callable[[Path], None]], str]:
    """Return a surface: a command that reads a file of a run."""

    def surface(cage: Cage, plant: Callable[[Path], None]) -> str:
        path = write_run(cage.folder / "run")
        plant(checkpoints.sidecar(path) if name == "sidecar" else cage.folder / "run" / name)
        return cage.run(*command)

    return surface


def resumed(cage: Cage, plant: Callable[[Path], None]) -> str:
    write_run(cage.folder / "run")
    plant(cage.folder / "run" / run_folder.OVERRIDES)
    with pytest.raises(UserError) as caught:
        words_of_resumed_run([f"resume={cage.folder / 'run'}"])
    return str(caught.value)


def shared(cage: Cage, plant: Callable[[Path], None]) -> str:
    plant(write_shared(cage.folder / "shared") / "config.json")
    return cage.run("generate", "shared", *GENERATE)


def classifier(cage: Cage, plant: Callable[[Path], None]) -> str:
    write_classifier(cage.folder)
    plant(cage.folder / "classifier" / "classifier.json")
    return cage.run("recognize", "predict", "model.ckpt", "image.png", "--recognition", "classifier")


def cached(cage: Cage, plant: Callable[[Path], None]) -> str:
    """Read images through an index of the cache, which is built again."""
    (cage.folder / "images").mkdir()
    Image.new("L", (4, 4), 7).save(cage.folder / "images" / "0.png")
    source, decoder = ImageFiles([str(cage.folder / "images")]), Decoder((4, 4), channels=1)
    cache.load_images(source, decoder)
    (path,) = cache.folder().glob("images/*/index.json")
    plant(path)
    assert cache.load_images(source, decoder).pixels[0, 0, 0, 0] == 7
    return "index.json" if json.loads(path.read_text())["rows"] == 1 else ""


SURFACES: dict[str, tuple[Callable[[Cage, Callable[[Path], None]], str], str]] = {  # and what the error names
    "sidecar": (run_file("sidecar", "generate", "run", *GENERATE), "no undamaged checkpoint"),
    "config.yaml": (run_file(run_folder.CONFIG, "compare", "run"), "run"),
    "overrides.yaml": (resumed, "overrides.yaml"),
    "shared model": (shared, "config.json"),
    "classifier": (classifier, "classifier"),
    "cache": (cached, "index.json"),
}
FORGED: dict[str, Callable[[Path], object]] = {
    "deep": lambda path: path.write_bytes(b"[" * 200_000),
    "a number": lambda path: path.write_bytes(b"3"),
    "a list": lambda path: path.write_bytes(b'[{"images": 1}]'),
    "an endless device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", FORGED)
@pytest.mark.parametrize("surface", SURFACES)
def test_every_surface_refuses_in_one_line(
    surface: str, what: str, cage: Cage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRO_GAN_CACHE", str(cage.folder / "out" / "cache"))
    read, named = SURFACES[surface]

    def plant(path: Path) -> None:
        path.unlink(missing_ok=True)
        FORGED[what](path)

    assert named in read(cage, plant)


METRICS = [
    b"{", b"[" * 100_000, b'"text"', b'{"images": "x", "eval/kid": 1}', b'{"images": 8, "eval/kid": [1]}',
    b'{"images": 1, "eval/kid": "x", "seconds": 1e999}', b'{"images": 1e999, "eval/kid": 1}', b'{"images": NaN}',
    b'{"images": -5, "seconds": -1}', b'{"images": ' + b"9" * 5000 + b"}", b"\xff\xfe\x00", b"x" * 1_000_000,
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("line", METRICS, ids=lambda line: line[:30])
def test_lines_of_metrics_that_this_program_does_not_write_are_skipped(line: bytes, cage: Cage) -> None:
    write_run(cage.folder / "run")
    with open(cage.folder / "run" / run_folder.METRICS, "ab") as file:
        file.write(line + b"\n")
    assert "0.5" in cage.run("compare", "run", "--out", "out/curves.png", check=0)
