"""Animations are read back frame by frame."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from torch import Tensor

from gan.images import video
from gan.images.convert import to_pil_image
from gan.utils.errors import UserError


def frames(channels: int) -> Tensor:
    """Return seven frames of different colors, with a transparent disc if there is alpha."""
    y, x = torch.meshgrid(torch.arange(16), torch.arange(24), indexing="ij")
    seven = torch.stack([torch.stack([10 * x + n, 12 * y, 30 * n + 0 * x]) for n in range(7)]).to(torch.uint8)
    if channels == 4:
        inside = ((x - 12) ** 2 + (y - 8) ** 2 < 36).to(torch.uint8)
        return torch.cat([seven * inside, (255 * inside).expand(7, 1, -1, -1)], 1)
    return seven[:, :channels]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("ending", [".gif", ".webp", ".png"])
def test_frames_times_and_transparency(channels: int, ending: str, tmp_path: Path) -> None:
    given = frames(channels)
    video.save(given, tmp_path / f"a{ending}", rate=20, scale=2)
    with Image.open(tmp_path / f"a{ending}") as file:
        assert file.n_frames == 7 and file.size == (48, 32) and file.info.get("loop") == 0
        for frame, expected in zip(ImageSequence.Iterator(file), given, strict=True):
            frame.load()
            assert frame.info["duration"] == 50
            seen = np.asarray(frame.convert("RGBA")).astype(int)[::2, ::2]
            wanted = np.asarray(to_pil_image(expected).convert("RGBA")).astype(int)
            assert (seen[..., 3] == wanted[..., 3]).all()
            apart = np.abs(seen - wanted)[wanted[..., 3] > 0]
            assert apart.mean() < (6 if ending == ".gif" else 0.01)


@pytest.mark.parametrize("ending", [".mp4", ".webm"])
def test_videos(ending: str, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    for channels in (1, 3, 4):
        given = frames(channels)
        video.save(given, tmp_path / f"a{ending}", rate=12.5, scale=4)
        with av.open(str(tmp_path / f"a{ending}")) as file:
            assert file.streams.video[0].average_rate == 12.5
            seen = [frame.to_image() for frame in file.decode(video=0)]
        assert len(seen) == 7 and seen[0].size == (96, 64)
        if channels == 3:
            for frame, expected in zip(seen, given, strict=True):
                small = np.asarray(frame.resize((24, 16), Image.Resampling.BOX)).astype(int)
                assert np.abs(small - expected.permute(1, 2, 0).numpy()).mean() < 12


def test_other_extensions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="use one of the extensions"):
        video.save(frames(3), tmp_path / "a.jpg", rate=25)
