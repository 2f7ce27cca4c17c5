"""Paired and unpaired data: matching of files, the photographs of each side, and equal crops on both sides."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.data.builtin.retro import draw
from gan.data.decoding.decode import Decoder
from gan.data.pairs import StyledFiles
from gan.data.translation import (
    PairedDataModule,
    ReducedDataModule,
    StyledDataModule,
    UnpairedDataModule,
    images_for_color_maps,
)
from gan.looks.registry import make_style
from gan.utils.errors import UserError


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def photographs(folder: Path, n: int, side: int = 32) -> list[np.ndarray]:
    pictures = [draw(0, 4 * index + 2, side, side) for index in range(n)]
    for index, picture in enumerate(pictures):
        save(folder / f"{index // 2}_{index % 2}.png", picture)
    return pictures


def first(data: PairedDataModule | UnpairedDataModule, n: int) -> list[dict[str, torch.Tensor]]:
    data.setup("fit")
    return list(islice(iter(data.train_dataloader()), n))


def as_set(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_pairs_match_by_name_and_share_crops_and_flips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index, picture in enumerate(photographs(tmp_path / "unused", 5, 40)):
        save(tmp_path / "a" / "deep" / f"{index}.png", picture)
        save(tmp_path / "b" / "deep" / f"{index}.bmp", 255 - picture)
    save(tmp_path / "a" / "alone.png", picture)
    data = PairedDataModule(
        str(tmp_path / "a"), str(tmp_path / "b"), size=32, batch_size=8, fit="random_crop", flip=True
    )
    batches = first(data, 2)
    assert "1 images in" in capsys.readouterr().out and len(data) == 5
    for batch in batches:
        assert batch["a"].shape == (8, 3, 32, 32) and batch["a"].dtype == torch.uint8
        assert (batch["a"].int() + batch["b"].int() - 255).abs().float().mean() < 1.5  # resampling rounds
    assert torch.equal(data.ground_truth(3), data.reals(3))


def test_side_by_side_files(tmp_path: Path) -> None:
    one = draw(0, 0, 32, 48)
    save(tmp_path / "pairs" / "x.png", np.concatenate([one, 255 - one], 1))
    save(tmp_path / "pairs" / "y.png", np.concatenate([255 - one, one], 1))
    (batch,) = first(PairedDataModule(root=str(tmp_path / "pairs"), size=(32, 48), batch_size=2), 1)
    assert as_set(batch["a"]) == as_set(batch["b"]) == {p.transpose(2, 0, 1).tobytes() for p in (one, 255 - one)}
    assert torch.equal(batch["a"], 255 - batch["b"])


def test_files_without_a_partner_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photographs(tmp_path / "a", 2)
    save(tmp_path / "b" / "other.png", draw(0, 0, 32, 32))
    with pytest.raises(UserError, match=r"no image in .* has the same name as one in .*'0_0', '0_1', 'other'"):
        PairedDataModule(str(tmp_path / "a"), str(tmp_path / "b"), size=32).setup("fit")
    save(tmp_path / "b" / "0_0.png", draw(0, 0, 32, 64))
    save(tmp_path / "b" / "0_1.png", draw(0, 0, 64, 64))
    data = PairedDataModule(str(tmp_path / "a"), str(tmp_path / "b"), size=32)
    data.setup("fit")
    assert len(data) == 1 and "images of the pair have sizes 32x32 and 64x32" in capsys.readouterr().out
    save(tmp_path / "b" / "0_0.jpg", draw(0, 0, 32, 32))
    with pytest.raises(UserError, match=r"'0_0.jpg' and '0_0.png' have the same name"):
        PairedDataModule(str(tmp_path / "a"), str(tmp_path / "b"), size=32).setup("fit")
    save(tmp_path / "odd" / "x.png", draw(0, 0, 32, 33))
    with pytest.raises(UserError, match="width of 33 pixels is odd"):
        PairedDataModule(root=str(tmp_path / "odd"), size=32).setup("fit")
    with pytest.raises(UserError, match=r"give data.a=FOLDER data.b=FOLDER, or data.root=FOLDER"):
        PairedDataModule(a="x")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_ground_truth_of_a_style(tmp_path: Path, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    photographs(tmp_path, 6)
    data = StyledDataModule(str(tmp_path), "film", "paired", size=32, batch_size=4, channels=channels)
    (batch,) = first(data, 1)
    assert batch["a"].shape == batch["b"].shape == (4, channels, 32, 32)
    again = StyledDataModule(str(tmp_path), "film", "paired", size=32, batch_size=4, channels=channels)
    monkeypatch.setattr(StyledFiles, "content", None)  # the cache has all of it
    assert torch.equal(first(again, 1)[0]["b"], batch["b"])
    if channels == 3:
        for a, b in zip(batch["a"], batch["b"], strict=True):
            assert np.array_equal(make_style("film")(a.permute(1, 2, 0).numpy(), 0), b.permute(1, 2, 0).numpy())
    if channels == 4:
        assert torch.equal(batch["a"][:, 3], batch["b"][:, 3])


def test_photographs_of_a_b_and_validation_are_disjoint(tmp_path: Path) -> None:
    pictures = photographs(tmp_path, 40)  # of twenty prefixes
    data = StyledDataModule(str(tmp_path), "film", size=32, batch_size=8, split="prefix", validation=0.2)
    batches = first(data, 12)
    originals = [picture.transpose(2, 0, 1).tobytes() for picture in pictures]
    styled = [make_style("film")(picture, 0).transpose(2, 0, 1).tobytes() for picture in pictures]
    a = {originals.index(image) for batch in batches for image in as_set(batch["a"])}
    b = {styled.index(image) for batch in batches for image in as_set(batch["b"])}
    held = {originals.index(image) for image in as_set(data.inputs(99, held_out=True))}
    assert min(len(a), len(b), len(held)) > 3 and a | b | held == set(range(40))
    for one, other in ((a, b), (a, held), (b, held)):
        assert not {index // 2 for index in one} & {index // 2 for index in other}
    truths = data.ground_truth(99, held_out=True)
    assert truths is not None and {styled.index(image) for image in as_set(truths)} == held


def test_shared_content_hides_the_pairing(tmp_path: Path) -> None:
    photographs(tmp_path, 16)
    data = StyledDataModule(str(tmp_path), "film", "shared", size=32, batch_size=16, split="prefix", validation=0.2)
    batches = first(data, 2)
    film = make_style("film")
    for batch in batches:
        pairs = [np.array_equal(film(a.permute(1, 2, 0).numpy(), 0), b.permute(1, 2, 0).numpy())
                 for a, b in zip(batch["a"], batch["b"], strict=True)]  # fmt: skip
        assert sum(pairs) < 8
    with pytest.raises(UserError, match=r"data.pairing=both: unknown"):
        StyledDataModule(str(tmp_path), "film", "both")


def test_too_few_groups_raise(tmp_path: Path) -> None:
    photographs(tmp_path, 4)  # of two prefixes
    with pytest.raises(
        UserError, match=r"data\.pairing=disjoint: photographs for [ab]: [01], but at least two are needed"
    ):
        StyledDataModule(str(tmp_path), "film", size=32, split="prefix").setup("fit")
    with pytest.raises(UserError, match=r"data\.pairing=disjoint needs data\.split"):
        StyledDataModule(str(tmp_path), "film", split=None)


def test_unpaired_sides_have_independent_orders(tmp_path: Path) -> None:
    for side in ("a", "b"):
        photographs(tmp_path / side, 12)
    data = UnpairedDataModule(str(tmp_path / "a"), str(tmp_path / "b"), size=32, batch_size=12)
    batch, following = first(data, 2)
    assert as_set(batch["a"]) == as_set(batch["b"]) and not torch.equal(batch["a"], batch["b"])
    again = data.a.stream(start=1), data.b.stream(start=1)
    for name, stream in zip("ab", again, strict=True):
        assert torch.equal(next(iter(stream))["image"], following[name])
    assert data.ground_truth(3) is None and data.inputs(3).shape == data.reals(3).shape == (3, 3, 32, 32)
    with pytest.raises(UserError, match="training images: 1, but at least two are needed"):
        save(tmp_path / "one" / "x.png", draw(0, 0, 32, 32))
        UnpairedDataModule(str(tmp_path / "a"), str(tmp_path / "one"), size=32).setup("fit")


def test_patches_of_pairs_are_aligned(tmp_path: Path) -> None:
    for side in "ab":
        photographs(tmp_path / side, 4, 80)
    data = PairedDataModule(str(tmp_path / "a"), str(tmp_path / "b"), size=28, fit="patches", patches_per_image=3)
    (batch,) = first(data, 1)
    assert len(data) == 12 and torch.equal(batch["a"], batch["b"])
    styled = StyledDataModule(
        str(tmp_path / "a"), "fade", "paired", size=28, fit="patches", patches_per_image=3, split="file"
    )
    styled.setup("fit")
    inputs, truths = styled.inputs(99), styled.ground_truth(99)
    assert truths is not None and len(inputs) + len(styled.inputs(99, True)) == 12
    assert (
        np.abs(
            make_style("fade")(inputs[0].permute(1, 2, 0).numpy(), 0).transpose(2, 0, 1).astype(int) - truths[0].numpy()
        ).max()
        <= 2
    )
    Image.open(tmp_path / "b" / "0_0.png").resize((160, 160)).save(tmp_path / "b" / "0_0.png")
    again = PairedDataModule(str(tmp_path / "a"), str(tmp_path / "b"), size=28, fit="patches", patches_per_image=3)
    again.setup("fit")
    assert len(again) == 9  # of one proportion, and not of one size


def test_patches_have_the_look_of_the_whole_photograph(tmp_path: Path) -> None:
    (photograph,) = photographs(tmp_path, 1, 96)
    data = (tmp_path / "0_0.png").read_bytes()
    whole = make_style("vignette")(photograph, 0)
    fit = {"size": (32, 32), "fit": "patches", "patches_per_image": 3}
    source, decoder = StyledFiles([str(tmp_path)], "vignette"), Decoder(**fit)
    patches = [patch.transpose(1, 2, 0) for patch in source.decode(data, decoder)]
    assert len(patches) == 3
    for patch, box in zip(patches, decoder.patch_boxes(Image.fromarray(photograph)), strict=True):
        for found, wanted in ((patch[..., :3], photograph), (patch[..., 3:], whole)):
            assert np.array_equal(found, Image.fromarray(wanted).crop(box))


def test_patches_of_a_file_count_once(tmp_path: Path) -> None:
    photographs(tmp_path / "a", 10, 48)
    photographs(tmp_path / "b", 6, 48)
    options = {"size": 16, "fit": "patches", "patches_per_image": 3, "split": "file", "validation": 0.5}
    data = UnpairedDataModule(str(tmp_path / "a"), str(tmp_path / "b"), **options)
    data.setup("fit")
    patches = [[len(side.reals(99, held_out)) for side in data.sides] for held_out in (False, True)]
    assert [sum(each) for each in zip(*patches, strict=True)] == [30, 18]
    for held_out, counts in zip((False, True), patches, strict=True):
        for side, count in zip("ab", counts, strict=True):
            files = data.files(99, held_out, side)
            assert files.bincount().tolist() == [3] * (count // 3)
            assert files[: count // 3].tolist() == list(range(count // 3))  # in the order of the images


def test_the_files_of_pairs_are_those_of_their_images(tmp_path: Path) -> None:
    photographs(tmp_path / "in", 12, 48)
    options = {"size": 16, "fit": "patches", "patches_per_image": 3, "split": "file", "validation": 0.3}
    data = StyledDataModule(str(tmp_path / "in"), "vignette", **options)
    data.setup("fit")
    for held_out in (False, True):
        assert len(data.files(99, held_out)) == len(data.reals(99, held_out))
        assert len(data.files(99, held_out, "a")) == len(data.inputs(99, held_out)) > 0
    assert data.files(99).bincount().tolist() == [3] * (len(data.reals(99)) // 3)


def test_whole_images_are_not_cut(tmp_path: Path) -> None:
    """A look of a whole photograph: the vignette of a window would be around the window."""
    photographs(tmp_path / "in", 12, 80)
    options = {"size": 16, "fit": "patches", "patches_per_image": 2, "split": "file", "channels": 3}
    data = StyledDataModule(str(tmp_path / "in"), "vignette", "shared", **options)
    a, b = images_for_color_maps(data, 100)
    assert data.shows_patches and a.shape == b.shape and a.shape[1:] == (3, 64, 64)
    dark = b.float().mean((0, 1)) / a.float().mean((0, 1)).clamp(min=1)  # the order differs, the images are the same
    assert dark[0, 0] < 0.6 * dark[32, 32]
    assert dark[-1, -1] == pytest.approx(float(dark[0, 0]), abs=0.1)
    unpaired = UnpairedDataModule(str(tmp_path / "in"), str(tmp_path / "in"), **options | {"split": None})
    first, second = images_for_color_maps(unpaired, 3)
    assert unpaired.shows_patches and len(first) == 3 and torch.equal(first, second)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_patches_are_paired_with_their_reductions_on_the_grid_of_the_whole_image(tmp_path: Path, channels: int) -> None:
    picture = draw(0, 2, 50, 70)  # neither side is a multiple of the factor
    save(tmp_path / "large.png", picture)
    save(tmp_path / "small.png", picture[:12])
    options = {"size": 16, "batch_size": 2, "fit": "patches", "patches_per_image": 4, "channels": channels}
    data = ReducedDataModule(str(tmp_path), 4, **options)
    (batch,) = first(data, 1)
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    whole = Image.fromarray(picture[:48, :68]).convert(mode)
    small = whole.resize((17, 12), Image.Resampling.LANCZOS).resize((68, 48), Image.Resampling.LANCZOS)
    original, enlarged = (np.asarray(image).reshape(48, 68, channels) for image in (whole, small))
    places = [(top, left) for top in range(0, 33, 4) for left in range(0, 53, 4)]
    for a, b in zip(batch["a"].permute(0, 2, 3, 1).numpy(), batch["b"].permute(0, 2, 3, 1).numpy(), strict=True):
        assert any(
            np.array_equal(b, original[top : top + 16, left : left + 16])
            and np.array_equal(a, enlarged[top : top + 16, left : left + 16])
            for top, left in places
        )
    assert len(data) == 4


def test_a_folder_without_an_image_of_the_size_of_a_patch_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "small.png", draw(0, 2, 16, 16)[:12, :12])
    with pytest.raises(UserError, match="12x12 is smaller than a patch of 16x16"):
        ReducedDataModule(str(tmp_path), 4, size=16, batch_size=2, fit="patches").setup("fit")
