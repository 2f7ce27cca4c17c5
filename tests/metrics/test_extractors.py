"""Extractors by name, custom extractors, and features that depend on their image only and detect damage."""

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur, rgb_to_grayscale

from gan.data.builtin.retro import draw
from gan.metrics import pretrained
from gan.metrics.extractors import (
    DINOv2,
    Lite0Features,
    RandomConv,
    bias_notes,
    extractor,
    features,
    fingerprint,
    resized_positions,
)
from gan.metrics.kid import squared_mmd
from gan.metrics.pretrained import MissingWeights, Weights
from gan.utils.errors import UserError

IMAGES = torch.randint(0, 256, (37, 3, 16, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["lite0", "random_conv"])
def test_features_depend_on_their_image_alone(name: str) -> None:
    extract = extractor(name)
    found = features(extract, IMAGES)
    assert found.shape == (37, extract.dimension) and found.dtype == torch.float32
    order = torch.randperm(37, generator=torch.Generator().manual_seed(1))
    assert torch.equal(features(extract, IMAGES[order]), found[order])
    assert torch.equal(features(extract, IMAGES[30:]), found[30:])
    assert features(extract, IMAGES[:0]).shape == (0, extract.dimension)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(features(extract, IMAGES), found)


def test_a_custom_extractor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_features.py").write_text(
        "class Means:\n"
        "    name = 'means'\n"
        "    def __call__(self, images): return images.float().mean((2, 3))\n"
        "class Nameless: pass\n"
    )
    made = extractor("my_features.Means")
    torch.testing.assert_close(features(made, IMAGES), IMAGES.float().mean((2, 3)))
    for name, message in (
        ("my_features.Nameless", "Nameless has no name"),
        ("my_features.Nothing", "cannot be loaded"),
        ("no_such_module.Thing", "cannot be loaded"),
        ("lite1", "not known; use lite0, random_conv, inception, dinov2"),
    ):
        with pytest.raises(UserError, match=message):
            extractor(name)


def test_an_extractor_that_does_not_return_a_row_per_image() -> None:
    class Wrong(nn.Module):
        name = "wrong"

        def forward(self, images: Tensor) -> Tensor:
            return images.float().mean()[None]

    with pytest.raises(UserError, match="return one row per image"):
        features(Wrong(), IMAGES)


def test_fingerprints_identify_features() -> None:
    assert fingerprint(extractor("lite0")) == fingerprint(extractor("lite0")) != fingerprint(extractor("random_conv"))


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Replace the known weights by random ones."""

    def replace(name: str, network: nn.Module) -> None:
        path = tmp_path / pretrained.KNOWN[name].file
        torch.save(network.state_dict(), path)
        content = path.read_bytes()
        known = Weights(path.name, hashlib.sha256(content).hexdigest(), len(content))
        monkeypatch.setitem(pretrained.KNOWN, name, known)

    return replace


@pytest.mark.slow
def test_inception(tmp_path: Path, stand_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    monkeypatch.setattr(torch, "load", lambda *a, **k: {})
    bare = module.FeatureExtractorInceptionV3.__new__(module.FeatureExtractorInceptionV3)
    monkeypatch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
    torch.manual_seed(0)
    bare.__init__("inception", ["2048"], feature_extractor_weights_path="x")
    monkeypatch.undo()
    stand_in("inception", bare)
    extract = extractor("inception", weights=tmp_path)
    found = features(extract, IMAGES[:2])
    assert found.shape == (2, 2048) == (2, extract.dimension)
    torch.testing.assert_close(found, bare(IMAGES[:2])[0], rtol=1e-4, atol=1e-5)
    gray = IMAGES[:2, :1]
    assert torch.equal(features(extract, gray), features(extract, gray.repeat(1, 3, 1, 1)))


@pytest.mark.slow
def test_dinov2(tmp_path: Path, stand_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    timm = pytest.importorskip("timm")
    monkeypatch.setattr(DINOv2, "model", "vit_small_patch14_dinov2")
    stand_in("dinov2", timm.create_model(DINOv2.model, num_classes=0))
    found = features(extractor("dinov2", weights=tmp_path), IMAGES[:1])
    assert found.shape == (1, 384) and float(found.std()) > 0.1


def test_position_embeddings_are_resized_as_in_the_authors_code() -> None:
    positions = torch.cat([torch.full((1, 1, 1), 7.0), torch.arange(37.0).repeat(37)[None, :, None]], 1)
    found = resized_positions(positions, 16, 16)
    assert found.shape == (1, 1 + 16 * 16, 1) and found[0, 0, 0] == 7
    columns = found[0, 1:, 0].reshape(16, 16)
    scale = 37 / 16.1  # a ramp is kept by bicubic interpolation, at the scale that is given
    expected = (torch.arange(16) + 0.5) * scale - 0.5
    torch.testing.assert_close(columns[5, 2:14], expected[2:14], rtol=0, atol=0.05)


@pytest.mark.parametrize("name", ["inception", "dinov2"])
def test_without_weights(name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingWeights, match=pretrained.KNOWN[name].sha256):
        extractor(name, weights=tmp_path)


def test_features_do_not_depend_on_the_precision_of_training() -> None:
    """On CUDA, training sets the precision of matrix products to "high", which allows TF32."""

    class Recorded:
        name = "recorded"

        def __call__(self, images: Tensor) -> Tensor:
            assert torch.get_float32_matmul_precision() == "highest"
            return images.flatten(1).float()

    torch.set_float32_matmul_precision("high")
    try:
        features(Recorded(), torch.zeros(2, 3, 4, 4, dtype=torch.uint8))
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.fixture(scope="module")
def extract() -> Lite0Features:
    return Lite0Features()


def test_alpha_and_gray(extract: Lite0Features) -> None:
    images = IMAGES[:4]
    opaque = torch.cat([images, torch.full((4, 1, 16, 24), 255, dtype=torch.uint8)], 1)
    torch.testing.assert_close(extract(opaque), extract(images), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(extract(images[:, :1]), extract(images[:, :1].repeat(1, 3, 1, 1)))


@pytest.mark.slow
def test_the_distance_grows_with_damage(extract: Lite0Features) -> None:
    images = torch.from_numpy(np.stack([draw(0, i, 32, 32).transpose(2, 0, 1) for i in range(120)]))
    real, other = extract(images[:60]), images[60:]  # the kinds take turns, so both halves have all

    def kid(changed: torch.Tensor) -> float:
        return squared_mmd(real, extract(changed))

    same = kid(other)
    assert same < kid(gaussian_blur(other, 9, 0.7)) < kid(gaussian_blur(other, 9, 2.0))
    assert same < kid(rgb_to_grayscale(other, 3))


@pytest.mark.parametrize(
    ("kind", "network", "options", "biased"),
    [
        (Lite0Features, "projected", {}, True),  # a run from before the option
        (Lite0Features, "projected", {"backbone": "lite0"}, True),
        (Lite0Features, "projected", {"backbone": "tf_efficientnet_lite0.in1k"}, True),
        (Lite0Features, "projected_light", {}, True),
        (Lite0Features, "projected", {"backbone": "resnet18"}, False),
        (Lite0Features, "dcgan", {}, False),
        (DINOv2, "projected", {"backbone": "vit_large_patch14_dinov2.lvd142m"}, True),
        (RandomConv, "projected", {}, False),
    ],
)
def test_scores_in_the_backbone_of_the_discriminator_are_noted(
    kind: Any, network: str, options: dict[str, str], biased: bool
) -> None:
    discriminator = {"_target_": f"gan.networks.{network}.Discriminator", **options}
    kind = SimpleNamespace(name=kind.name, backbones=vars(kind).get("backbones", ()))
    notes = bias_notes(kind, {"model": {"discriminator": discriminator}})
    note = f"{kind.name} scores favor this model, whose discriminator uses the same network; add random_conv"
    assert notes == [note] * biased
    assert not bias_notes(kind, {"model": {}})  # a shared model without its discriminator
