"""`gan interpolate`: the video contains the images of its seeds, and errors are one line."""

from pathlib import Path

from PIL import Image

import gan
from tests.conftest import Train


def test_an_interpolation_contains_the_images_of_its_seeds(runs: Path, gan_command: Train, tmp_path: Path) -> None:
    said = gan_command(
        "interpolate", str(runs / "dcgan"), "--class", "neon", "--seeds", "3,9,4", "--frames", "4", "--out", "a.png"
    ).stdout
    assert "9 frames" in said
    with Image.open(tmp_path / "a.png") as file:
        assert file.n_frames == 9
    again = ["--seeds", "3,9,3", "--frames", "2", "--out", "again.gif"]
    assert "5 frames" in gan_command("interpolate", str(runs / "dcgan"), *again).stdout
    model = gan.load(runs / "dcgan")
    assert model.interpolate([3, 9, 4], 4, label="neon")[::4] == model.generate([3, 9, 4], label="neon")
    first = model.classes[int(model.sample_z([3])[1])]
    assert model.interpolate([3, 9], 2) == model.interpolate([3, 9], 2, label=first)
    mapped = gan.load(runs / "stylegan2")
    for truncation in (1.0, 0.5):  # of any classes
        way = mapped.interpolate(list(range(8)), 3, loop=True, truncation=truncation)
        assert len(way) == 24 and way[::3] == mapped.generate(list(range(8)), truncation)


def test_errors_are_one_line(runs: Path, gan_command: Train, tmp_path: Path) -> None:
    (tmp_path / "there.gif").touch()
    for run, options, said in (
        ("dcgan", ["--seeds", "1"], "at least two"),
        ("stylegan2", ["--space", "z", "--truncation", "0.5"], "truncation works in w only"),
        ("dcgan", ["--frames", "0"], "--frames 0: give a whole number from 1 to"),
        ("dcgan", ["--frames", "65536", "--scale", "64"], "GB of memory; use fewer frames or a smaller scale"),
        ("dcgan", ["--out", "a.jpg"], "use one of the extensions"),
        ("dcgan", ["--out", "there.gif"], "--force"),
    ):
        error = gan_command("interpolate", str(runs / run), "--out", "a.gif", *options, check=2).stderr
        assert said in error and error.count("\n") == 1
