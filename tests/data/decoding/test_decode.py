"""Every kind of image file has the pixel values computed by hand."""

import io
import struct
import warnings
import zlib
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from gan.data.decoding import reader
from gan.data.decoding.decode import Decoder
from gan.data.decoding.reader import ImageError, read_first_frame, read_frames, unpremultiply
from gan.utils.errors import UserError

NOISE = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)  # (H, W, 3)


def decode(source: reader.Source, size: tuple[int, int], channels: int = 3, **options: object) -> np.ndarray:
    """Return the first image of a file, uint8 (C, H, W)."""
    decoder = Decoder(size, channels, **options)
    return decoder.fit_image(read_first_frame(source, decoder.max_pixels, decoder.min_side()))


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file


def png(size: tuple[int, int], depth: int, color: int, rows: list[bytes], *chunks: tuple[bytes, bytes]) -> io.BytesIO:
    """Return a PNG in a format that Pillow reads but cannot write; size is (width, height)."""
    header = struct.pack(">IIBBBBB", *size, depth, color, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    file = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), *chunks, (b"IDAT", data), (b"IEND", b"")):
        file += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return io.BytesIO(file)


def row(source: io.BytesIO, width: int, channels: int = 3) -> list[list[int]]:
    """Return the pixels of an image with one row, each as [R, G, B] or [R, G, B, A]."""
    return decode(source, (1, width), channels)[:, 0].T.tolist()


# Modes


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP", "PCX", "PPM"])
def test_rgb_is_untouched(form):
    file = encoded(Image.fromarray(NOISE), form, **({"lossless": True} if form == "WEBP" else {}))
    assert np.array_equal(decode(file, (6, 4)), NOISE.transpose(2, 0, 1))
    assert reader.header(file).format == form


def test_gray_and_gray_with_alpha():
    assert row(encoded(Image.fromarray(np.array([[False, True]]))), 2) == [[0, 0, 0], [255, 255, 255]]
    assert row(encoded(Image.fromarray(np.array([[0, 77]], np.uint8))), 2) == [[0, 0, 0], [77, 77, 77]]
    image = Image.merge("LA", (Image.new("L", (1, 1), 100), Image.new("L", (1, 1), 51)))
    assert row(encoded(image), 1, 4) == [[20, 20, 20, 51]]
    assert row(encoded(image), 1, 3) == [[224, 224, 224]]  # 20 + 255 * 204 / 255


def test_palette():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    assert row(encoded(image), 2, 4) == [[10, 20, 30, 255], [40, 50, 60, 255]]
    assert row(encoded(image, transparency=1), 2, 4) == [[10, 20, 30, 255], [0, 0, 0, 0]]
    assert row(encoded(image, transparency=1), 2, 3) == [[10, 20, 30], [255, 255, 255]]
    assert row(encoded(image, transparency=bytes([0, 51])), 2, 4) == [[0, 0, 0, 0], [8, 10, 12, 51]]
    assert row(encoded(image, "GIF", transparency=0), 2, 4) == [[0, 0, 0, 0], [40, 50, 60, 255]]
    with_alpha = Image.merge("PA", (image, Image.fromarray(np.array([[255, 51]], np.uint8))))
    with_alpha.putpalette([10, 20, 30, 40, 50, 60])
    assert row(encoded(with_alpha, "TIFF"), 2, 4) == [[10, 20, 30, 255], [8, 10, 12, 51]]


@pytest.mark.parametrize(
    ("depth", "data", "key", "expected"),
    [
        (1, b"\x40", 1, [[0, 0, 0, 255], [0, 0, 0, 0]]),
        (2, b"\x90", 2, [[0, 0, 0, 0], [85, 85, 85, 255]]),
        (4, b"\x3f", 15, [[51, 51, 51, 255], [0, 0, 0, 0]]),
        (8, b"\x0f\x10", 15, [[0, 0, 0, 0], [16, 16, 16, 255]]),
        (16, struct.pack(">HH", 515, 514), 515, [[0, 0, 0, 0], [2, 2, 2, 255]]),
    ],
)
def test_transparent_gray(depth, data, key, expected):
    assert row(png((2, 1), depth, 0, [data], (b"tRNS", struct.pack(">H", key))), 2, 4) == expected


def test_transparent_color():
    eight = png((2, 1), 8, 2, [bytes([1, 2, 3, 1, 2, 4])], (b"tRNS", struct.pack(">HHH", 1, 2, 3)))
    assert row(eight, 2, 4) == [[0, 0, 0, 0], [1, 2, 4, 255]]
    pixels = struct.pack(">6H", 0x0102, 0x0203, 0x0304, 0x0102, 0x0203, 0x0504)
    sixteen = png((2, 1), 16, 2, [pixels], (b"tRNS", struct.pack(">HHH", 0x0102, 0x0203, 0x0304)))
    assert row(sixteen, 2, 4) == [[0, 0, 0, 0], [1, 2, 5, 255]]
    alpha = png((1, 1), 16, 6, [struct.pack(">HHHH", 0x8000, 0x40FF, 0xFFFF, 0xFFFF)])
    assert row(alpha, 1, 4) == [[0x80, 0x40, 0xFF, 255]]


def test_cmyk():
    inks = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 255, 0], [0, 0, 0, 255], [0, 0, 0, 55]]], np.uint8)
    expected = [[255, 255, 255], [0, 255, 255], [255, 0, 0], [0, 0, 0], [200, 200, 200]]  # (255 - ink)(255 - K) / 255
    assert row(encoded(Image.fromarray(inks, "CMYK"), "TIFF"), 5) == expected


@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_sixteen_bit_ramp(mode):
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    image = Image.frombytes(mode, (256, 256), ramp.astype(">u2" if mode == "I;16B" else "<u2").tobytes())
    gray = decode(encoded(image, "TIFF"), (256, 256), 1)
    assert abs(gray.mean() - 127.5) < 1
    assert np.array_equal(gray[0], np.rint(ramp / 257).astype(np.uint8))


def test_sixteen_bit_png_keeps_its_range_when_dark():
    image = Image.fromarray(np.array([[0, 257, 2570]], np.uint16))
    assert decode(encoded(image), (1, 3), 1)[0].tolist() == [[0, 1, 10]]
    assert decode(encoded(Image.fromarray(np.array([[0, 100, 200]], np.uint16))), (1, 3), 1)[0].tolist() == [[0, 0, 1]]


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (np.int32, [0, 7, 255], [0, 7, 255]),
        (np.int32, [0, 257, 65535], [0, 1, 255]),
        (np.int32, [1_000_000, 1_000_000, 1_000_255], [0, 0, 255]),
        (np.float32, [0.0, 0.2, 1.0], [0, 51, 255]),
        (np.float32, [0.0, 77.4, 255.0], [0, 77, 255]),
        (np.float32, [-1.0, 0.0, 1.0], [0, 128, 255]),
        (np.float32, [np.nan, np.inf, 1.0], [0, 0, 255]),
    ],
)
def test_gray_of_32_bits(dtype, values, expected):
    image = Image.fromarray(np.array([values], dtype))
    assert image.mode == ("I" if dtype == np.int32 else "F")
    assert decode(encoded(image, "TIFF"), (1, 3), 1)[0, 0].tolist() == expected


def test_ycbcr():
    image = Image.fromarray(NOISE).convert("YCbCr")
    expected = np.asarray(image.convert("RGB"), np.int16).transpose(2, 0, 1)
    lzw = {"compression": "tiff_lzw"}  # Pillow 12.3 does not read such files without compression
    decoded = decode(encoded(image, "TIFF", **lzw), (6, 4))
    assert np.abs(decoded - expected).max() <= 1  # libtiff rounds in another way
    assert row(encoded(Image.new("YCbCr", (1, 1), (76, 85, 255)), "TIFF", **lzw), 1) == [[254, 0, 0]]


def test_lab():
    file = encoded(Image.new("LAB", (1, 1), (255, 128, 128)), "TIFF")  # L* = 100, a* = b* = 0
    assert Image.open(file).mode == "LAB"
    assert b"\xff\0\0" in file.getvalue()  # a* and b* are signed in the file
    assert min(row(file, 1)[0]) >= 254


@pytest.mark.parametrize("form", ["GIF", "TIFF", "WEBP", "PNG"])
def test_all_images_of_a_file(form):
    colors = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    pages = [Image.new("RGB", (2, 2), color) for color in colors]
    options = {"lossless": True} if form == "WEBP" else {}
    file = encoded(pages[0], form, save_all=True, append_images=pages[1:], **options)
    assert reader.header(file).frames == 3
    found = [picture[:, 0, 0].tolist() for picture in Decoder((2, 2), frames="all")(file)]
    assert found == [list(color) for color in colors]
    assert [picture[:, 0, 0].tolist() for picture in Decoder((2, 2))(file)] == [[255, 0, 0]]


def test_each_page_is_turned_its_own_way():
    pages = [Image.new("RGB", (4, 2), "red"), Image.new("RGB", (4, 2), "blue")]
    file = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(file, True) as writer:
        for page, orientation in zip(pages, (1, 6), strict=True):
            page.save(writer, "TIFF", tiffinfo={274: orientation})
            writer.newFrame()
    assert [picture.size for picture in reader.read_frames(file, "all")] == [(4, 2), (2, 4)]


def test_the_maps_beside_a_photograph_are_no_images():
    file = encoded(Image.new("RGB", (8, 8)), "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    assert Image.open(file).n_frames == 2
    assert reader.header(file).frames == 1 and len(list(Decoder((2, 2), frames="all")(file))) == 1


def test_a_later_image_that_is_damaged_makes_the_file_unreadable():
    pages = [Image.effect_noise((64, 64), 90) for _ in range(3)]
    file = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    with pytest.raises(ImageError):
        list(Decoder((2, 2), frames="all")(io.BytesIO(file.getvalue()[:-3000])))


# Orientation and color profiles


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "JPEG"])
def test_orientations(form):
    """Eight files with different EXIF orientations contain the same upright image."""
    upright = Image.fromarray(np.kron(NOISE[:3, :2], np.ones((8, 8, 1), np.uint8)))  # 24 x 16, in blocks for JPEG
    stored = {
        1: upright,
        2: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: upright.transpose(Image.Transpose.ROTATE_180),
        4: upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: upright.transpose(Image.Transpose.TRANSPOSE),
        6: upright.transpose(Image.Transpose.ROTATE_90),
        7: upright.transpose(Image.Transpose.TRANSVERSE),
        8: upright.transpose(Image.Transpose.ROTATE_270),
    }
    options: dict = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(form, {})
    expected = np.asarray(upright).transpose(2, 0, 1).astype(int)
    for orientation, image in stored.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        pixels = decode(encoded(image, form, exif=exif, **options), (24, 16)).astype(int)
        assert np.abs(pixels - expected).max() <= (3 if form == "JPEG" else 0), orientation


def test_broken_exif_is_ignored():
    file = encoded(Image.fromarray(NOISE), exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    assert np.array_equal(decode(file, (6, 4)), NOISE.transpose(2, 0, 1))


def swapped_profile() -> bytes:
    """A minimal ICC v2 profile: the primaries of sRGB with red and blue swapped, and linear values."""
    blue, green, red = (0.1431, 0.0606, 0.7141), (0.3851, 0.7169, 0.0971), (0.4360, 0.2225, 0.0139)  # X, Y, Z under D50
    white = (0.9642, 1.0, 0.8249)
    tags = {b"cprt": b"text\0\0\0\0none\0", b"desc": b"desc\0\0\0\0\0\0\0\x05test\0" + bytes(78)}
    for tag, values in ((b"wtpt", white), (b"rXYZ", blue), (b"gXYZ", green), (b"bXYZ", red)):
        tags[tag] = b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), b"curv\0\0\0\0\0\0\0\0")
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    header = struct.pack(">I", start + len(body)) + b"lcms\x02\x10\0\0mntrRGB XYZ " + bytes(12) + b"acsp"
    header += bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + table + body


def test_profile_is_applied_and_alpha_kept():
    image = Image.new("RGBA", (1, 1), (128, 0, 0, 255))
    expected = [0, 0, 188]  # a linear 128 / 255 is 188 in sRGB, and this profile's red is blue
    assert np.abs(np.subtract(row(encoded(image, icc_profile=swapped_profile()), 1)[0], expected)).max() <= 2
    image.putalpha(51)
    got = row(encoded(image, icc_profile=swapped_profile()), 1, 4)[0]
    assert np.abs(np.subtract(got, [0, 0, 38, 51])).max() <= 1


def test_unusable_profiles_are_ignored():
    for damage in (b"no profile", swapped_profile()[:200]):
        file = encoded(Image.fromarray(NOISE), icc_profile=damage)
        assert np.array_equal(decode(file, (6, 4)), NOISE.transpose(2, 0, 1))
    file = encoded(Image.new("CMYK", (1, 1), (0, 255, 255, 0)), "TIFF", icc_profile=swapped_profile())
    assert row(file, 1) == [[255, 0, 0]]
    file = encoded(Image.new("L", (1, 1), 128), icc_profile=swapped_profile())
    assert row(file, 1) == [[128, 128, 128]]


# Alpha


def test_premultiplied_rounds_and_hides():
    alpha = np.arange(256, dtype=np.uint8)[None]  # (1, 256)
    color = np.full((1, 256), 200, np.uint8)
    file = encoded(Image.fromarray(np.stack([color, color, color, alpha], -1)))
    got = decode(file, (1, 256), 4)
    assert np.array_equal(got[3], alpha)
    assert np.array_equal(got[0, 0], np.rint(200 * np.arange(256) / 255).astype(np.uint8))
    assert got[:, 0, 0].tolist() == [0, 0, 0, 0]


def test_composite_on_the_background():
    file = encoded(Image.fromarray(np.array([[[200, 100, 0, 0], [200, 100, 0, 128], [200, 100, 0, 255]]], np.uint8)))
    for name, paper in (("white", (255, 255, 255)), ("#f4ecd8", (0xF4, 0xEC, 0xD8)), ("black", (0, 0, 0))):
        got = decode(file, (1, 3), background=name)[:, 0].T
        alpha = np.array([[0], [128], [255]]) / 255
        exact = np.array([200, 100, 0]) * alpha + np.array(paper) * (1 - alpha)
        assert np.abs(got - exact).max() <= 1, name
        assert got[0].tolist() == list(paper)
        assert got[2].tolist() == [200, 100, 0]


def test_luma():
    file = encoded(Image.fromarray(np.array([[[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 0]]], np.uint8)))
    assert decode(file, (1, 3), 1, background="blue").tolist() == [[[76, 150, 29]]]  # the third is all background


@pytest.mark.parametrize("resample", ["lanczos", "box"])
@pytest.mark.parametrize("size", [(4, 4), (7, 5), (64, 64)])
def test_no_fringe_after_the_resize(resample, size):
    """A red disc on transparent green: no green may bleed in, on any background."""
    y, x = np.mgrid[:16, :16] - 7.5
    inside = (x**2 + y**2 < 36)[..., None]
    image = Image.fromarray(np.where(inside, [255, 0, 0, 255], [0, 255, 0, 0]).astype(np.uint8))
    rgba = decode(encoded(image), size, 4, resample=resample)
    assert rgba[1].max() == 0
    assert rgba[0].max() > 250
    assert (rgba[:3] <= rgba[3]).all()
    assert np.abs(rgba[0].astype(int) - rgba[3]).max() <= 6  # red wherever there is anything: no dark edge
    assert (decode(encoded(image), size, 3, resample=resample, background="red")[0] >= 249).all()


def test_unpremultiply():
    straight = np.random.default_rng(1).integers(0, 256, (8, 8, 4), dtype=np.uint8)
    straight[7, :, 3] = 0
    back = unpremultiply(decode(encoded(Image.fromarray(straight)), (8, 8), 4)).transpose(1, 2, 0)
    assert np.array_equal(back[..., 3], straight[..., 3]) and not back[7].any()
    visible = straight[..., 3] >= 128
    assert np.abs(back.astype(int) - straight)[visible].max() <= 1
    level = np.zeros((4, 1, 256), np.uint8)
    level[0], level[3] = 100, np.arange(256)
    expected = np.minimum(np.floor(100 * 255 / np.arange(100, 256) + 0.5), 255)
    assert np.array_equal(unpremultiply(level)[0, 0, 100:], expected)
    assert unpremultiply(level)[0, 0, 50] == 255  # brighter than its alpha, as a generator may draw


# Size


def gradient(height: int, width: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x, y, 0 * x], -1).astype(np.uint8))


def test_crop_takes_the_center():
    got = decode(encoded(gradient(10, 31)), (10, 10))
    assert got[0, 0].tolist() == list(range(10, 20))  # nothing is scaled: whole pixels
    assert got[1, :, 0].tolist() == list(range(10))
    wide = decode(encoded(gradient(100, 200)), (20, 20), resample="box")
    assert wide[0, 0, 0] == pytest.approx(52, abs=1)  # 50..54
    assert wide[1, 0, 0] == pytest.approx(2, abs=1)


def test_pad_fills_with_the_background():
    file = encoded(Image.new("RGB", (40, 20), (10, 20, 30)))
    got = decode(file, (20, 20), fit="pad", background="red")
    assert got[:, 5:15].reshape(3, -1).T.tolist() == [[10, 20, 30]] * 200
    assert got[:, [0, 4, 15, 19]].reshape(3, -1).T.tolist() == [[255, 0, 0]] * 80
    clear = decode(file, (20, 20), 4, fit="pad", background="red")
    assert not clear[:, :5].any()
    assert (clear[3, 5:15] == 255).all()
    same = decode(encoded(gradient(5, 4)), (5, 8), fit="pad", background="black")
    assert same[0, 0].tolist() == [0, 0, 0, 1, 2, 3, 0, 0]


def enlarged(image: np.ndarray, factor: int) -> np.ndarray:
    return image.repeat(factor, 0).repeat(factor, 1)


SPRITE = np.random.default_rng(3).integers(0, 2, (16, 16, 3), dtype=np.uint8) * 255  # (H, W, 3), eight colors


@pytest.mark.parametrize(
    ("source", "size", "kernel"),
    [
        (SPRITE, 32, "nearest"),  # enlarged by a whole factor
        (SPRITE, 24, "lanczos"),  # by half pixels
        (enlarged(SPRITE, 8), 32, "nearest"),  # drawn with squares of eight pixels, which become two
        (enlarged(SPRITE, 8), 8, "lanczos"),  # squares would be lost
        (enlarged(SPRITE, 5), 240, "lanczos"),  # sprites aren't as large
        (NOISE[:4, :4], 8, "lanczos"),  # each color once, as in a small photograph
        (np.random.default_rng(4).integers(0, 256, (64, 64, 3), dtype=np.uint8), 32, "lanczos"),  # a photograph
    ],
)
def test_auto_keeps_pixel_art_sharp(source, size, kernel):
    file = encoded(Image.fromarray(source))
    auto = decode(file, (size, size), resample="auto")
    assert np.array_equal(auto, decode(file, (size, size), resample=kernel))
    other = {"nearest": "lanczos", "lanczos": "nearest"}[kernel]
    assert not np.array_equal(auto, decode(file, (size, size), resample=other))


def test_auto_cuts_pixel_art_between_pixels():
    wide = np.concatenate([SPRITE, SPRITE[:, :3]], 1)  # 16 x 19: half a pixel to the left of the middle
    auto = decode(encoded(Image.fromarray(wide)), (32, 32), resample="auto")
    assert np.array_equal(auto, enlarged(wide[:, 1:17], 2).transpose(2, 0, 1))


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("source", [(1, 1), (1, 3000), (3000, 1), (31, 17), (64, 96)])
def test_every_shape(fit, channels, source):
    got = decode(encoded(gradient(*source)), (64, 96), channels, fit=fit)
    assert (got.shape, got.dtype) == ((channels, 64, 96), np.uint8)
    assert got.transpose(1, 2, 0).flags.c_contiguous  # channels last
    assert got.flags.writeable  # or torch.from_numpy warns
    if fit != "pad" and channels == 4:
        assert (got[3] == 255).all()


# Files that can't be read


def reason(source: object) -> str:
    with pytest.raises(ImageError) as caught:
        decode(source, (8, 8))
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 200
    return message


def photograph(form: str, **options: object) -> bytes:
    pixels = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return encoded(Image.fromarray(pixels), form, **options).getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"])
def test_bit_rot_gives_pixels_or_an_image_error(form):
    data, rng = photograph(form), np.random.default_rng(3)
    for _ in range(60):
        rotten = bytearray(data)
        for place in rng.integers(0, min(len(data), 600), 4):  # headers, mostly
            rotten[place] = rng.integers(256)
        try:
            assert decode(io.BytesIO(rotten), (8, 8)).shape == (3, 8, 8)
        except ImageError as error:
            assert "\n" not in str(error)


def test_heic_needs_its_extra(monkeypatch):
    pytest.importorskip("pillow_heif")
    reader.readable()  # registers the format
    pixels = np.full((64, 48, 3), (200, 90, 30), np.uint8)
    file = encoded(Image.fromarray(pixels), "HEIF")
    assert np.abs(np.asarray(reader.read_first_frame(file), int) - pixels).max() < 8
    monkeypatch.setattr(reader, "readable", lambda: reader.FORMATS)
    with pytest.raises(ImageError, match=r"HEIC needs pip install 'retro-gan\[heic\]'"):
        reader.read_first_frame(file)


def test_formats_beyond_the_list_are_refused(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "image.sgi")
    assert "not a PNG" in reason((tmp_path / "image.sgi").rename(tmp_path / "image.png"))


# Arguments, warnings


@pytest.mark.parametrize(
    ("arguments", "named"),
    [({"fit": "zoom"}, "unknown; use crop, pad"), ({"background": "#ffffff80"}, "#f4ecd8")],
)
def test_invalid_arguments(arguments, named):
    with pytest.raises(UserError, match=named):
        Decoder((8, 8), **arguments)


def test_no_warning_escapes(monkeypatch):
    """Warnings stay ignored if filters are reset between two calls."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    file = encoded(Image.new("P", (40, 40)), transparency=bytes(range(200)))
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            decode(file, (8, 8))
        assert not caught


def test_a_large_jpeg_is_decoded_at_a_part_of_its_size_with_the_same_pixels():
    rng = np.random.default_rng(0)
    scene = Image.fromarray(rng.integers(0, 256, (16, 24, 3), np.uint8)).resize((384, 256), Image.Resampling.BICUBIC)
    file = encoded(scene, "JPEG", quality=95)
    with closing(read_frames(file, min_side=64)) as found:
        assert next(found).size == (96, 64)
    whole = Decoder((32, 32)).fit_image(read_first_frame(file)).astype(float)
    error = decode(file, (32, 32)).astype(float) - whole
    assert 0 < (error**2).mean() < 255**2 / 10**4  # 40 dB


@pytest.mark.parametrize(("size", "min_side", "left"), [((384, 256), 129, 1), ((386, 258), 64, 2), ((385, 256), 64, 1)])
def test_a_jpeg_is_reduced_only_by_divisors_of_its_sides(size, min_side, left):
    with closing(read_frames(encoded(Image.new("RGB", size), "JPEG"), min_side=min_side)) as found:
        assert next(found).size == (size[0] // left, size[1] // left)


def test_nearest_takes_its_pixels_from_the_whole_jpeg():
    file = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)), "JPEG")
    whole = np.asarray(Image.open(file).resize((32, 32), Image.Resampling.NEAREST)).transpose(2, 0, 1)
    assert (decode(file, (32, 32), resample="nearest") == whole).all()


def test_patches_are_unscaled_and_cover_the_image(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:200, :150].astype(np.uint8)
    Image.fromarray(np.stack([rows, columns, rows], 2)).save(tmp_path / "a.png")
    decoder = Decoder((32, 48), fit="patches", patches_per_image=16)
    found = [*decoder(tmp_path / "a.png")]
    assert len(found) == 16
    corners = np.array([each[:2, 0, 0] for each in found]).astype(int)
    for each, (top, left) in zip(found, corners, strict=True):
        assert np.array_equal(each[0], np.broadcast_to(np.arange(top, top + 32)[:, None], (32, 48)))
        assert np.array_equal(each[1], np.broadcast_to(np.arange(left, left + 48), (32, 48)))
    assert corners[0].tolist() == [84, 51]  # the middle first
    quarters = {(top > 84, left > 51) for top, left in corners}
    assert len(quarters) == 4 and np.ptp(corners, axis=0).min() > 80


def test_patches_of_small_images_are_enlarged() -> None:
    small = Image.new("RGBA", (20, 60), (200, 100, 50, 128))
    decoder = Decoder((32, 32), 4, fit="patches", patches_per_image=3)
    parts = [decoder.fit_image(part) for part in decoder.patches(small)]
    assert all(part.shape == (4, 32, 32) and part[0, 0, 0] == 100 for part in parts)
