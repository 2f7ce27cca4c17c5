"""Conversion between uint8 and float, and grids."""

import os
from pathlib import Path

import pytest
import torch

from gan.images.convert import grid, save_png, save_pngs, to_float, to_uint8


def test_every_byte_survives_a_round_trip() -> None:
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    floats = to_float(levels)
    assert (float(floats.min()), float(floats.max())) == (-1, 1)
    assert torch.equal(to_uint8(floats), levels)
    assert to_uint8(torch.tensor([-7.0, 7.0])).tolist() == [0, 255]


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("n", "columns"), [(1, None), (2, None), (5, 2), (7, 3), (3, 9), (16, None)])
def test_a_grid_is_that_of_torchvision(n: int, columns: int | None, channels: int) -> None:
    from torchvision.utils import make_grid

    images = torch.randint(0, 256, (n, channels, 70, 65), dtype=torch.uint8)
    expected = make_grid(images, nrow=columns or max(1, round(n**0.5)), padding=2, pad_value=0)
    assert torch.equal(grid(images, columns), expected)


def test_small_images_are_enlarged_in_a_grid_pixel_by_pixel() -> None:
    images = torch.randint(0, 256, (2, 3, 24, 16), dtype=torch.uint8)
    picture = grid(images, columns=2)
    assert picture.shape == (3, 48 + 4, 2 * 32 + 6)
    assert torch.equal(picture[:, 2:50:2, 2:34:2], images[0])
    assert torch.equal(picture[:, 3:50:2, 37:68:2], images[1])


def test_files_that_are_written_together_are_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(0, 256, (40, 3, 8, 8), dtype=torch.uint8)
    paths = [tmp_path / f"{n}.png" for n in range(40)]
    save_png(images[7], tmp_path / "alone")
    full, rename = OSError(28, "No space left on device"), os.replace

    def replace(source: Path, target: Path) -> None:
        if target.name == "30.png":
            raise full
        rename(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match="No space left"):
        save_pngs(images, paths)
    assert not paths[30].exists() and paths[7].read_bytes() == (tmp_path / "alone").read_bytes()
    assert all(path.suffix == ".png" or path.name == "alone" for path in tmp_path.iterdir())  # no temporary files
