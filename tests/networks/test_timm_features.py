"""Backbones of timm: features of a CNN and a ViT, weights from a file, and runs that do not need the file again."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import interpolate

from gan.models.loading import load_discriminator
from gan.networks.projected import Discriminator
from gan.utils.errors import UserError
from tests.conftest import TINY, Train

timm = pytest.importorskip("timm")
CNN, VIT = "test_resnet", "test_vit"  # timm's networks for tests, with 0.5 and 0.4 million parameters


def network_of(name: str, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return timm.create_model(name).eval()


def file_of(name: str, folder: Path) -> str:
    path = folder / f"{name}.safetensors"
    save_file(network_of(name).state_dict(), path)
    return str(path)


@pytest.mark.parametrize("name", [CNN, VIT, "vit_tiny_patch16_224"])
@pytest.mark.parametrize(("size", "resolution"), [((16, 16), 32), ((96, 64), 64), ((16, 16), 128)])
def test_four_scales_with_gradients(name: str, size: tuple[int, int], resolution: int) -> None:
    torch.manual_seed(0)
    network = Discriminator(size, width=4, backbone_resolution=resolution, backbone=name)
    rows, columns = network.backbone.resized
    x = (torch.rand(2, 3, *size) * 2 - 1).requires_grad_()
    assert [y.shape[2:] for y in network.features(x)] == [(rows // side, columns // side) for side in (2, 4, 8, 16)]
    found = network(x)
    sum(y.square().mean() for y in found).backward()
    assert x.grad is not None and x.grad.abs().sum() > 0
    assert {part.split(".")[0] for part, p in network.named_parameters() if p.requires_grad} == {"heads"}


def test_the_patches_of_a_vit_determine_the_input_size() -> None:
    network = Discriminator((96, 64), width=4, backbone_resolution=64, backbone="eva02_tiny_patch14_224")
    assert network.backbone.resized == (98, 70)
    assert [y.shape[2:] for y in network.backbone(torch.zeros(1, 3, 96, 64))] == [(24, 16), (12, 8), (6, 4), (3, 2)]
    assert Discriminator((16, 16), width=4, backbone=CNN).backbone.resized == (160, 160)  # that of timm


@pytest.mark.parametrize("name", [CNN, VIT])
def test_features_are_those_of_timm(name: str, tmp_path: Path) -> None:
    network = Discriminator(
        (160, 160), width=4, backbone_resolution=160, backbone=name, weights=file_of(name, tmp_path)
    )
    network.load_pretrained()
    network.train()  # the statistics of BatchNorm stay
    x = torch.rand(2, 3, 160, 160) * 2 - 1
    found = network.backbone(x)
    # Both networks have the mean and standard deviation 0.5 in timm's configuration.
    features = network_of(name).forward_intermediates(x, intermediates_only=True)
    for y, index, side in zip(found, [1, 2, 3, 4] if name == CNN else [0, 2, 3, 5], (40, 20, 10, 5), strict=True):
        expected = interpolate(features[index], (side, side), mode="bilinear", antialias=True)
        torch.testing.assert_close(y, expected)


def test_mistakes_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"size": (16, 16), "width": 4, "backbone_resolution": 64}
    for name in ("nothing", "hf-hub:timm/test_vit"):  # the second one would be downloaded
        with pytest.raises(UserError, match="is neither lite0 nor a network of timm"):
            Discriminator(backbone=name, **options)
    with pytest.raises(UserError, match="are those of another network"):
        Discriminator(backbone=VIT, weights=file_of(CNN, tmp_path), **options).load_pretrained()
    with pytest.raises(UserError, match=r"missing\.safetensors"):
        Discriminator(backbone=VIT, weights=str(tmp_path / "missing.safetensors"), **options).load_pretrained()
    with pytest.raises(UserError, match=r"weights=a.safetensors: needs model.discriminator.backbone"):
        Discriminator(weights="a.safetensors", **options)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    with pytest.raises(UserError, match=r"give model.safetensors of timm/test_vit\S* with \S*weights=PATH"):
        Discriminator(backbone=VIT, **options).load_pretrained()
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r"test_vit: needs timm: pip install 'retro-gan\[timm\]'"):
        Discriminator(backbone=VIT, **options)


@pytest.mark.slow
def test_checkpoints_and_shared_models_have_the_weights(train: Train, gan_command: Train, tmp_path: Path) -> None:
    path = file_of(VIT, tmp_path)
    words = ["model=projected", *(word for word in TINY if "full_size" not in word)]
    words += [f"model.discriminator.backbone={VIT}", "model.discriminator.backbone_resolution=64"]
    train(*words, f"model.discriminator.weights={Path(path).name}", "images=8", "hydra.run.dir=run", tiny=False)
    Path(path).unlink()
    train("resume=run", "images=16", tiny=False)
    gan_command("share", "run", "shared", "--discriminator", "--license", "mit", "--trained-on", "noise")
    expected = network_of(VIT).state_dict()
    for source in ("run", "shared"):
        trained, untrained, *_ = load_discriminator(tmp_path / source)
        for network in (trained, untrained):
            state = network.backbone.frozen.network.state_dict()
            same = [torch.equal(value, expected[part]) for part, value in state.items() if part != "pos_embed"]
            assert len(same) > 10 and all(same)
    train("init_from=run", *words, "images=8", "hydra.run.dir=other", tiny=False)
    missing = train(*words, f"model.discriminator.weights={path}", "init_from=null", tiny=False, check=2).stderr
    assert f"{path}: cannot be read" in missing  # a new run needs the file
