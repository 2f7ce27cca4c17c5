"""Images go out as Pillow images, and come in as paths, Pillow images, arrays and tensors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.images.collection import Images, is_single, to_pil_images
from gan.utils.errors import UserError


def some(channels: int, n: int = 3) -> Images:
    pixels = torch.randint(0, 256, (n, channels, 6, 9), dtype=torch.uint8)
    if channels == 4:
        pixels[:, :3] = pixels[:, :3].minimum(pixels[:, 3:])
    return Images(pixels)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_an_index_gives_a_pillow_image(channels: int, mode: str) -> None:
    images = some(channels)
    assert images[0].mode == mode and images[0].size == (9, 6) and len(images) == 3
    assert [np.asarray(image).tolist() for image in images] == [np.asarray(images[n]).tolist() for n in range(3)]
    assert images[1:] == Images(images.pixels[1:]) and images[:1] + images[1:] == images
    assert np.array_equal(np.asarray(images), images.tensor.permute(0, 2, 3, 1))
    assert images._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(IndexError):
        images[3]


def test_alpha_is_straight_in_the_tensor_and_in_pillow_images() -> None:
    images = Images(torch.tensor([50, 25, 0, 128], dtype=torch.uint8).reshape(1, 4, 1, 1))
    assert images.tensor.flatten().tolist() == pytest.approx([100, 50, 0, 128], abs=1)
    assert images[0].getpixel((0, 0)) == tuple(images.tensor.flatten().tolist())


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_are_saved_but_never_over_files(channels: int, tmp_path: Path) -> None:
    images = some(channels)
    paths = images.save(tmp_path / "out" / "deep")
    assert [path.name for path in paths] == ["0.png", "1.png", "2.png"]
    with Image.open(paths[2]) as file:
        assert file.mode == images[2].mode and np.array_equal(np.asarray(file), np.asarray(images[2]))
    with pytest.raises(UserError, match="exists already"):
        images.save(tmp_path / "out" / "deep")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_all_kinds_of_input_give_the_same_images(channels: int, tmp_path: Path) -> None:
    images = some(channels)
    array = np.asarray(images)
    images.save(tmp_path)
    expected = [np.asarray(image.convert("RGBA" if channels == 4 else "RGB")).tolist() for image in images]
    kinds = [images, list(images), array, array / 255, array.astype(np.float32) / 255, images.tensor, tmp_path]
    kinds += [images.tensor.float() / 255, [str(tmp_path / "0.png"), tmp_path / "1.png", array[2]], list(images.tensor)]
    for given in kinds:
        assert [np.asarray(image).tolist() for image in to_pil_images(given)] == expected
    assert not any(map(is_single, kinds)) and all(map(is_single, [array[0], images[0], tmp_path / "0.png"]))


def test_a_photograph_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (9, 6)).save(tmp_path / "photo.jpg", exif=exif)
    with Image.open(tmp_path / "photo.jpg") as image:
        assert to_pil_images(image)[0].size == to_pil_images(tmp_path / "photo.jpg")[0].size == (6, 9)


def test_what_is_no_image_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("text")
    for given, said in (
        (3, "type int"),
        (np.zeros((2, 3, 6, 9), np.uint8), r"uint8 \(2, 3, 6, 9\)"),
        (np.full((6, 9, 3), 2.0), "floats outside"),
        (np.zeros((2, 16, 0, 3)), "an image of"),
        (tmp_path / "none.png", "no file"),
        (tmp_path / "text.png", "not a PNG"),
    ):
        with pytest.raises(UserError, match=said):
            to_pil_images(given)
    with pytest.raises(UserError, match="give uint8"):
        Images(torch.zeros(1, 3, 6, 9))
