"""The network of the README, which has only `latent_dim` and `forward`: all commands work or print a one-line error."""

import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

import gan
from gan import networks
from gan.data.builtin.retro import CLASSES, draw
from gan.models.loading import network_class
from tests.conftest import Train
from tests.security.checkpoints import DCGAN, checkpoint

NAME = "enlarging"
CLASS = f"gan.networks.{NAME}.Generator"
SOURCE = """
from itertools import pairwise

from torch import Tensor, nn

from gan.networks.grid import base_grid, channels_at


class Generator(nn.Module):
    def __init__(self, size: tuple[int, int], channels: int, width: int, latent_dim: int) -> None:
        super().__init__()
        rows, columns, doublings = base_grid(size)  # any size that is a grid of 3 to 8 cells times a power of two
        widths = [*channels_at(width, 8 * width, doublings), width]
        self.latent_dim = latent_dim
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, widths[0] * rows * columns),
            nn.Unflatten(1, (widths[0], rows, columns)),
            *(enlarged(before, after) for before, after in pairwise(widths)),
            nn.Conv2d(width, channels, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return self.layers(z)  # (N, latent_dim) -> (N, C, H, W)


def enlarged(before: int, after: int) -> nn.Module:
    return nn.Sequential(
        nn.Upsample(scale_factor=2), nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()
    )
"""  # only what the contract requires


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A checkpoint of a network without optional members, untrained, with the data and the discriminator of a DCGAN."""
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / f"{NAME}.py").write_text(SOURCE)
    monkeypatch.setattr(networks, "__path__", [*networks.__path__, str(tmp_path / "networks")])
    monkeypatch.delitem(sys.modules, f"gan.networks.{NAME}", raising=False)
    made = checkpoint(DCGAN)
    options = {"size": [16, 16], "channels": 3, "width": 4, "latent_dim": 8}
    made["config"]["model"]["generator"] = {"_target_": CLASS, **options}
    made["config"]["data"] |= {"num_images": 40, "split": "file", "validation": 0.4}
    torch.manual_seed(0)
    weights = network_class("generator", CLASS)(**options).state_dict()
    state = {name: value for name, value in made["state_dict"].items() if not name.startswith("ema.module.")}
    made["state_dict"] = state | {f"ema.module.{name}": value for name, value in weights.items()}
    torch.save(made, tmp_path / "own.ckpt")
    return "own.ckpt"


@pytest.mark.slow
def test_all_commands(run: str, gan_command: Train, tmp_path: Path) -> None:
    gan_command("generate", run, "--seeds", "0-2", "--out", "plain")
    gan_command("interpolate", run, "--seeds", "0,1", "--frames", "2", "--out", "a.gif")
    gan_command("edit", run, "--seeds", "0-2", "--set", "brightness=1", "zoom=0.5", "--mix", "7:0.5", "--out", "edited")
    assert (tmp_path / "edited" / "0.png").read_bytes() != (tmp_path / "plain" / "0.png").read_bytes()
    gan_command("project", run, "plain", "--starts", "1", "--steps", "10", "--out", "projected")
    gan_command("edit", run, "--latents", "projected/latents.safetensors", "--out", "same")
    words = ["--images", "20", "--extractor", "random_conv"]
    assert "generated" in gan_command("evaluate", run, *words).stdout
    for index in range(24):
        folder = tmp_path / "classes" / CLASSES[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw(0, index // 2 * len(CLASSES) + index % 2, 16, 16)).save(folder / f"{index}.png")
    gan_command("recognize", "fit", run, "classes", "--folds", "3", "--no-baselines", "--out", "classifier")
    gan_command("recognize", "predict", run, "plain", "--recognition", "classifier")
    class_name = CLASSES[0]
    gan_command(
        "edit", run, "--seeds", "0", "--recognition", "classifier", "--set", f"{class_name}=1", "--out", "class"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["directions", "--out", "o"], "has no latent_weights, which SeFa needs; --sefa 0 disables SeFa"),
        (["directions", "--out", "o", "--sefa", "0"], "has no synthesis_layers, which GANSpace needs; --pca 0"),
        (["edit", "--out", "o", "--size", "32x16"], "has no synthesis_layers, which another size needs"),
        (["generate", "--out", "o", "--truncation", "0.5"], "need a mapping network"),
        (["project", "IMAGE", "--out", "o", "--space", "w+"], "needs a generator with a mapping network"),
        (["translate", "IMAGE", "o.png"], "is not a translator"),
    ],
)
def test_missing_members_of_the_network_are_an_error_of_one_line(
    words: list[str], said: str, run: str, gan_command: Train, tmp_path: Path
) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "image.png")
    command, *rest = ("image.png" if word == "IMAGE" else word for word in words)
    error = gan_command(command, run, *rest, check=2).stderr
    assert said in error and error.count("error: ") == error.count("\n") == 1
    if "has no" in said:
        assert CLASS in error
    assert not (tmp_path / "o").exists()


def test_latents_are_those_of_the_seeds(run: str, tmp_path: Path) -> None:
    model = gan.load(tmp_path / run)
    latents, labels = model.latents([0, 1])
    assert labels is None and model.synthesize(latents) == model.generate([0, 1])
