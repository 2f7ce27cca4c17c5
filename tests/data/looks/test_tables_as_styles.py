"""data.style=FILE.cube: a color table as the known style of photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan.data.builtin.retro import draw
from gan.data.decoding.decode import Decoder
from gan.data.looks import color_table
from gan.data.looks.color_table import table_of
from gan.data.looks.registry import filter_names, make_style, predictable
from gan.data.pairs import StyledFiles
from gan.utils.errors import UserError

TABLE = table_of(lambda image: image[..., ::-1] ** 2, 16)


def test_a_file_is_a_style(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a:b, c.cube").write_bytes(color_table.encode_cube(TABLE))
    (tmp_path / "look.png").write_bytes(color_table.encode_hald(TABLE))
    image = draw(0, 2, 40, 50)
    expected = np.rint(255 * TABLE.apply(image))
    for name in (str(tmp_path / "a:b, c.cube"), "~/look.png"):
        assert np.array_equal(make_style(name)(image, 0), expected)
    mixed = [str(tmp_path / "look.png"), "grain"]
    assert filter_names(mixed) == mixed and predictable(mixed) == mixed[:1]
    assert np.abs(make_style(mixed)(image, 0) - expected).mean() > 2


def test_a_changed_file_is_another_style(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.fromarray(draw(0, 2, 40, 50)).save(tmp_path / "photos" / "a.png")
    path = tmp_path / "look.cube"
    path.write_bytes(color_table.encode_cube(TABLE))
    before = StyledFiles([str(tmp_path / "photos")], str(path))
    assert before.identity == StyledFiles([str(tmp_path / "photos")], str(path)).identity
    (decoded,) = before.decode(before.content(0), Decoder((40, 50), 3, "stretch"))
    assert np.array_equal(decoded.pixels[3:].transpose(1, 2, 0), make_style(str(path))(draw(0, 2, 40, 50), 0))
    path.write_bytes(color_table.encode_cube(table_of(lambda image: 1 - image, 17)))
    assert before.identity != StyledFiles([str(tmp_path / "photos")], str(path)).identity
    assert np.array_equal(make_style(str(path))(draw(0, 2, 40, 50), 0), 255 - draw(0, 2, 40, 50))


def test_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.cube: .*no such file.*give a \.cube file"):
        make_style(str(tmp_path / "none.cube"))
    (tmp_path / "bad.cube").write_text("LUT_3D_SIZE 2\n0 0\n")
    with pytest.raises(UserError, match=r"bad\.cube: .*line 2: 3 numbers"):
        make_style(["fade", str(tmp_path / "bad.cube")])
