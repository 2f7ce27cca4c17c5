"""`gan translate`: files keep size, name, format, alpha, EXIF and frames; rerunning continues."""

import errno
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gan.commands.outputs import SOME_UNREADABLE
from gan.data.sources.files import File, content
from gan.images import files as image_files
from gan.images.files import Contents
from gan.translation import tiling
from gan.translation.translate_files import max_pixels
from tests.conftest import Train
from tests.recipes import TINY as RECIPES
from tests.recipes import photographs
from tests.security.checkpoints import checkpoint

ORIENTATION, ARTIST = 0x0112, 0x013B


def made(folder: Path, *options: str) -> Path:
    """Write a checkpoint of a translator that changes images, and return its path."""
    data = ["data=retro_filter", f"data.root={photographs()}", "data.split=file", "data.size=32"]
    state = checkpoint([*options, *data])
    random = torch.Generator().manual_seed(0)
    for name, value in state["state_dict"].items():
        if name.startswith("ema.module.") and value.is_floating_point():
            value += 0.1 * torch.randn(value.shape, generator=random)
    torch.save(state, folder / "run.ckpt")
    return folder / "run.ckpt"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("lut"), "model=lut", *RECIPES["lut"])


@pytest.fixture(scope="module")
def both_ways(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("cyclegan"), "model=cyclegan", *RECIPES["cyclegan"])


def noise(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Return a smooth image, which JPEG preserves."""
    generator = np.random.default_rng(width)
    small = Image.fromarray(generator.integers(0, 256, (4, 4, 4), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def make_folder(folder: Path) -> dict[str, tuple[int, int]]:
    """Write images of all formats, of which three are broken, and return their upright sizes."""
    (folder / "a folder" / "deeper").mkdir(parents=True)
    exif = Image.Exif()
    exif[ORIENTATION], exif[ARTIST] = 6, "somebody"
    noise(40, 30).save(folder / "turned.jpg", exif=exif)
    noise(31, 17, "L").save(folder / "gray.png")
    noise(33, 20, "CMYK").save(folder / "cmyk.jpg")
    noise(20, 40, "RGBA").save(folder / "a folder" / "ümläut, #1 %20.png")
    noise(64, 1).save(folder / "a folder" / "deeper" / "line.bmp")
    noise(25, 25).save(folder / "no space .webp", quality=100)
    frames = [noise(18, 22), noise(19, 22).resize((18, 22)), noise(20, 22).resize((18, 22))]
    frames[0].save(folder / "moves.gif", save_all=True, append_images=frames[1:], duration=[30, 70, 110], loop=3)
    (folder / "notes.txt").write_text("no picture")
    (folder / "empty.png").touch()
    (folder / "cut short.jpg").write_bytes((folder / "turned.jpg").read_bytes()[:500])
    (folder / "a folder" / "text.png").write_text("hello")
    return {
        "turned.jpg": (30, 40),
        "gray.png": (31, 17),
        "cmyk.jpg": (33, 20),
        "a folder/ümläut, #1 %20.png": (20, 40),
        "a folder/deeper/line.bmp": (64, 1),
        "no space .webp": (25, 25),
        "moves.gif": (18, 22),
    }


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_folder_of_all_kinds(run: Path, gan_command: Train, tmp_path: Path) -> None:
    sizes = make_folder(tmp_path / "in")
    noise(22, 20, "RGBA").save(tmp_path / "in" / "named.jpg", "PNG")  # it keeps its own format
    sizes["named.jpg"] = (22, 20)
    result = gan_command("translate", str(run), "in", "out", check=SOME_UNREADABLE)
    assert files(tmp_path / "out") == set(sizes)
    lines = result.stderr.splitlines()
    assert len(lines) == 4 and lines[3] == "3 of 11 files could not be translated"
    assert all(any(name in line for line in lines[:3]) for name in ("empty.png", "cut short.jpg", "text.png"))
    for name, size in sizes.items():
        with Image.open(tmp_path / "in" / name) as before, Image.open(tmp_path / "out" / name) as after:
            assert after.size == size and after.format == before.format, name
    name = "a folder/ümläut, #1 %20.png"
    with Image.open(tmp_path / "in" / name) as before, Image.open(tmp_path / "out" / name) as after:
        assert np.array_equal(before.getchannel("A"), after.getchannel("A"))
        assert not np.array_equal(before.convert("RGB"), after.convert("RGB"))


def test_files_that_do_not_fit_into_memory_are_skipped_and_reported(
    run: Path, gan_command: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    for side in (20, 40, 30):
        noise(side, side).save(tmp_path / "in" / f"{side}.png")
    whole = tiling.tile_function

    def small(network: Any, picture: torch.Tensor, device: torch.device) -> Any:
        if picture.shape[1] == 40:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(network, picture, device)

    monkeypatch.setattr(tiling, "tile_function", small)
    said = gan_command("translate", str(run), "in", "out", check=SOME_UNREADABLE).stderr
    assert files(tmp_path / "out") == {"20.png", "30.png"}
    assert "40.png: does not fit into memory" in said and "1 of 3 files could not be translated" in said


def test_an_interrupted_command_is_resumed(
    run: Path, gan_command: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = make_folder(tmp_path / "in")
    write, left = image_files.write_bytes, [3]

    def full(path: Path, data: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, data)

    monkeypatch.setattr(image_files, "write_bytes", full)
    error = gan_command("translate", str(run), "in", "out", check=2).stderr
    assert "No space left on device" in error and "rerun the command to continue" in error and error.count("\n") == 1
    done = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in files(tmp_path / "out")}
    assert len(done) == 3
    monkeypatch.undo()
    said = gan_command("translate", str(run), "in", "out", check=SOME_UNREADABLE).stdout
    assert "3 existing files skipped" in said and files(tmp_path / "out") == set(sizes)
    assert done == {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in done}
    gan_command("translate", str(run), "in", "out", "--force", check=SOME_UNREADABLE)
    assert all((tmp_path / "out" / name).stat().st_mtime_ns > time for name, time in done.items())


def test_one_file_and_its_strength(run: Path, gan_command: Train, tmp_path: Path) -> None:
    noise(30, 20).save(tmp_path / "in.png")
    pixels = {}
    for strength in ("0", "0.5", "1"):
        gan_command("translate", str(run), "in.png", f"{strength}.png", "--strength", strength)
        pixels[strength] = np.asarray(Image.open(tmp_path / f"{strength}.png"), np.int32)
    before = np.asarray(Image.open(tmp_path / "in.png"), np.int32)
    assert np.array_equal(pixels["0"], before) and np.abs(pixels["1"] - before).max() > 3
    assert np.abs(2 * pixels["0.5"] - before - pixels["1"]).max() <= 2
    (tmp_path / "folder").mkdir()
    gan_command("translate", str(run), "in.png", "folder")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "folder" / "in.png")), pixels["1"])


def test_pixel_art_has_cells_and_a_palette(run: Path, gan_command: Train, tmp_path: Path) -> None:
    noise(30, 21).save(tmp_path / "in.png")
    (tmp_path / "two.hex").write_text("1b2a41\nf3e6c8\n")
    for name, palette in (("six", "6"), ("two", "two.hex")):
        gan_command("translate", str(run), "in.png", f"{name}.png", "--cell", "4", "--palette", palette)
    six, two = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("six", "two"))
    assert len(np.unique(six.reshape(-1, 3), axis=0)) <= 6
    assert {tuple(color) for color in two.reshape(-1, 3)} == {(0x1B, 0x2A, 0x41), (0xF3, 0xE6, 0xC8)}
    assert np.array_equal(six[:20, :28], six[:20:4, :28:4].repeat(4, 0).repeat(4, 1))
    said = gan_command("translate", str(run), "in.png", "in.jpg", "--cell", "4").stdout
    assert "note: JPEG changes cells and colors" in said


@pytest.mark.parametrize(("size", "name"), [((64, 48), "clip.mp4"), ((33, 21), "clip.mkv"), ((64, 48), "clip.webm")])
def test_a_video_keeps_size_rate_and_sound(
    size: tuple[int, int], name: str, run: Path, gan_command: Train, tmp_path: Path
) -> None:
    av = pytest.importorskip("av")
    width, height = size
    with av.open(tmp_path / name, "w") as writer:
        picture = writer.add_stream("libvpx-vp9" if name.endswith("webm") else "libx264", rate=12)
        picture.width, picture.height = size
        picture.pix_fmt = "yuv444p" if width % 2 else "yuv420p"
        sound = writer.add_stream("libopus" if name.endswith("webm") else "aac", rate=48_000)
        for index in range(9):
            frame = av.VideoFrame.from_image(Image.new("RGB", size, (20 * index, 120, 200 - 20 * index)))
            writer.mux(picture.encode(frame))
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.float32), "fltp", "mono")
            samples.sample_rate, samples.pts = 48_000, 4000 * index
            writer.mux(sound.encode(samples))
        writer.mux(picture.encode())
        writer.mux(sound.encode())
    gan_command("translate", str(run), name, f"out/{name}")
    found = []
    for path in (tmp_path / name, tmp_path / "out" / name):
        with av.open(path) as reader:
            picture, frames = (
                reader.streams.video[0],
                [frame.to_ndarray(format="rgb24") for frame in reader.decode(video=0)],
            )
            found.append((picture.average_rate, len(reader.streams.audio), [frame.shape for frame in frames]))
    assert found[0] == found[1] and found[0][2] == [(height, width, 3)] * 9
    assert not list((tmp_path / "out").glob(".*"))


def test_a_rotated_video_becomes_upright(run: Path, gan_command: Train, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    picture = Image.new("RGB", (64, 48))
    picture.paste((250, 250, 250), (0, 0, 64, 12))  # bright above, as stored
    with av.open(tmp_path / "plain.mp4", "w") as writer:
        stream = writer.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        writer.mux(stream.encode(av.VideoFrame.from_image(picture)))
        writer.mux(stream.encode())
    data = (tmp_path / "plain.mp4").read_bytes()
    straight = bytes.fromhex("00010000 00000000 00000000 00000000 00010000 00000000 00000000 00000000 40000000")
    turned = bytes.fromhex("00000000 00010000 00000000 ffff0000 00000000 00000000 00000000 00000000 40000000")
    at = data.index(straight, data.index(b"tkhd"))  # the track's matrix: to be shown turned clockwise by 90 degrees
    (tmp_path / "turned.mp4").write_bytes(data[:at] + turned + data[at + len(straight) :])
    gan_command("translate", str(run), "turned.mp4", "out.mp4", "--strength", "0")
    with av.open(tmp_path / "out.mp4") as reader:
        (frame,) = reader.decode(video=0)
    assert (frame.width, frame.height, frame.rotation) == (48, 64, 0)
    light = np.asarray(frame.to_image().convert("L"), np.int32)
    assert light[:, 40:].mean() > 200 > 50 > light[:, :30].mean()  # bright on the right, as it is shown


def test_directions_differ(both_ways: Path, gan_command: Train, tmp_path: Path) -> None:
    noise(30, 20).save(tmp_path / "in.png")
    for direction in ("a2b", "b2a"):
        gan_command("translate", str(both_ways), "in.png", f"{direction}.png", "--direction", direction)
    there, back = (np.asarray(Image.open(tmp_path / f"{name}.png"), np.int32) for name in ("a2b", "b2a"))
    assert np.abs(there - back).max() > 0
    error = gan_command("generate", str(both_ways), "--seeds", "0", "--out", "out", check=2).stderr
    assert "is a translator; use gan translate" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["RUN", "in", "in/out"], "is in the input folder"),
        (["RUN", "in/gray.png", "out.png", "--format", "jpg"], "out.png: the extension of this format is .jpg"),
        (["RUN", "twins", "out", "--format", "png"], "twins.png: would be written 2 times; rename an input"),
        (["RUN", "in/gray.png", "in/gray.png"], "is both input and output; give another output"),
        (["RUN", "in", "notes.txt"], "is a file; the output for a folder must be a folder"),
        (["RUN", "in/gray.png", "out.sgi"], "out.sgi: images cannot be written with this extension"),
        (["RUN", "in", "out", "--direction", "b2a"], "has only a2b"),
        (["RUN", "in", "out", "--strength", "0.5", "--palette", "4"], "blending changes the colors"),
        (["RUN", "in", "out", "--palette", "1"], "--palette 1: give 2 to 256"),
        (["RUN", "in", "out", "--set", "grain=1"], "--set: needs a look, such as look:film"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line(words: list[str], said: str, run: Path, gan_command: Train, tmp_path: Path) -> None:
    make_folder(tmp_path / "in")
    (tmp_path / "twins").mkdir()
    for suffix in ("png", "jpg"):
        noise(8, 8).save(tmp_path / "twins" / f"twins.{suffix}")
    (tmp_path / "notes.txt").write_text("mine")
    error = gan_command("translate", *[str(run) if word == "RUN" else word for word in words], check=2).stderr
    assert said in error and error.count("\n") == 1
    assert (tmp_path / "notes.txt").read_text() == "mine" and not (tmp_path / "out").exists()


def test_images_above_max_pixels_are_refused(run: Path, gan_command: Train, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    noise(20, 20).save(tmp_path / "in" / "small.png")
    noise(30, 20).save(tmp_path / "in" / "large.png")
    frames = [noise(10, 10), noise(11, 10).resize((10, 10))] * 4
    frames[0].save(tmp_path / "in" / "moves.gif", save_all=True, append_images=frames[1:])
    words = ("translate", str(run), "in", "out")
    said = gan_command(*words, "--max-pixels", "400", check=SOME_UNREADABLE).stderr
    assert "30x20 is more than the limit of 400 pixels; set another limit with --max-pixels" in said
    assert (
        "8 frames of 10x10 are more than the limit of 400 pixels in total; set another limit with --max-pixels" in said
    )
    assert files(tmp_path / "out") == {"small.png"}
    gan_command(*words, "--max-pixels", "800")
    assert files(tmp_path / "out") == {"small.png", "large.png", "moves.gif"}
    assert "--max-pixels=0" in gan_command(*words, "--max-pixels", "0", check=2).stderr


def test_the_pixel_limit_depends_on_the_memory() -> None:
    gigabyte = 1 << 30
    assert max_pixels(64 * gigabyte, pixel_art=False) == 64_000_000
    assert 10_000_000 < max_pixels(gigabyte, pixel_art=False) < 20_000_000
    assert max_pixels(gigabyte, pixel_art=True) < max_pixels(gigabyte, pixel_art=False) / 2
    assert max_pixels(0, pixel_art=False) == 1


@pytest.mark.slow
def test_a_file_that_crashes_the_decoder_is_skipped(
    run: Path, gan_command: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.png", "deadly.png", "z.png"):
        noise(20, 20).save(tmp_path / "in" / name)
    monkeypatch.setattr(image_files, "read_file", deadly)
    said = gan_command("translate", str(run), "in", "out", check=SOME_UNREADABLE).stderr
    assert "deadly.png: the decoder crashed" in said
    assert files(tmp_path / "out") == {"a.png", "z.png"}


def deadly(file: File, kind: str | None, max_pixels: int) -> Contents:
    """Replace `read_file` by a decoder that crashes."""
    if file.name == "deadly.png":
        os.kill(os.getpid(), signal.SIGSEGV)
    return image_files.read_contents(content(file), kind, max_pixels)
