"""Hostile archives: nothing is unpacked, forged members are skipped, and the others are read."""

import json
import os
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from gan.data.sources.files import find
from gan.utils.errors import UserError
from tests.conftest import run_python

from .conftest import MEMORY, snapshot
from .test_images import bomb, saved

pytestmark = pytest.mark.slow


def packed(members: dict[str, bytes]) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def alone(name: str | zipfile.ZipInfo, data: bytes | None = None, packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return an archive with a valid image and another member."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("good.png", saved("PNG"))
        archive.writestr(name, saved("PNG") if data is None else data, packing)
    return file.getvalue()


def lying(size: int) -> bytes:
    """Return an archive with a member of 900 MB whose headers declare another size."""
    data = bytearray(alone("x.png", bytes(900 << 20)))
    true = struct.pack("<I", 900 << 20)
    while (place := data.find(true)) >= 0:
        data[place : place + 4] = struct.pack("<I", size)
    return bytes(data)


def link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x.png")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info


def twice() -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("good.png", b"none")
        archive.writestr("good.png", saved("PNG"))
    return file.getvalue()


def of_another_kind(packing: int) -> bytes:
    data = bytearray(alone("x.png", packing=zipfile.ZIP_STORED))
    own, listed = data.rindex(b"PK\x03\x04"), data.rindex(b"PK\x01\x02")
    data[own + 8 : own + 10] = data[listed + 10 : listed + 12] = struct.pack("<H", packing)
    return bytes(data)


HOSTILE: dict[str, tuple[Callable[[], bytes], str | None]] = {  # what is said of x.png; None: it is no image at all
    "says little": (lambda: lying(1000), "CRC"),
    "900 MB of zeros": (lambda: alone("x.png", bytes(900 << 20)), "limit of"),
    "LZMA": (lambda: alone("x.png", bytes(99 << 20), zipfile.ZIP_LZMA), "compression method"),
    "unknown packing": (lambda: of_another_kind(77), "compression|not supported"),
    "bomb": (lambda: alone("x.png", bomb(14_000)), "limit of"),
    "link": (lambda: alone(link(), b"/etc/passwd"), "not a PNG"),
    "archive called an image": (lambda: alone("x.png", packed({"x.png": saved("PNG")})), "not a PNG"),
    "twice": (twice, None),
    "200,000 others": (lambda: packed({"good.png": saved("PNG")} | {f"{n}.txt": b"" for n in range(200_000)}), None),
}


CHECKS = f"""
import contextlib, io, json, resource, sys
resource.setrlimit(resource.RLIMIT_DATA, ({MEMORY}, {MEMORY}))
from gan.cli import main
for name in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["data", "check", name, "--json"]) in (0, None), name
    print(json.dumps(json.loads(out.getvalue())))
"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Return the reports of `gan data check` of all archives by name, made within a limit of memory."""
    folder = tmp_path_factory.mktemp("archives")
    for number, (made, _) in enumerate(HOSTILE.values()):
        (folder / f"{number}.zip").write_bytes(made())
    before = snapshot(folder)
    words = ["-c", CHECKS, *(f"{number}.zip" for number in range(len(HOSTILE)))]
    result = run_python(words, folder, check=True)
    assert snapshot(folder) == before
    return dict(zip(HOSTILE, map(json.loads, result.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_member_is_one_line_of_the_report(name: str, reports: dict[str, dict[str, Any]]) -> None:
    report, expected = reports[name], HOSTILE[name][1]
    assert report["readable"] == 1
    if expected is None:
        assert report["unreadable"] == {}
    else:
        ((_, said),) = report["unreadable"].items()
        assert any(part in said for part in expected.split("|")), said


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x05\x06" + bytes(18),  # without a member
        b"PK\x05\x06" + b"\xff" * 18,
        packed({"x.txt": b"no image"}),
        packed({"x.png": b""})[:-30],
        os.urandom(1000),
    ],
    ids=["empty", "no member", "65,535 members", "no image", "cut", "noise"],
)
def test_what_is_no_archive_of_images_is_one_line(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "in.zip").write_bytes(data)
    with pytest.raises(UserError, match=r"in\.zip") as error:
        find([str(tmp_path / "in.zip")])
    assert "\n" not in str(error.value)
