"""Blended generators: both ends are the models themselves, layers belong to their grids, classes are those of one."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import gan
from gan.model import Model
from gan.models import card
from gan.models.address import zoo_folder
from gan.models.blending import fractions, grid_heights
from gan.models.shared_model import CONFIG
from gan.networks import dcgan, fastgan, r3gan, stylegan2
from gan.utils.errors import UserError
from tests.conftest import Train
from tests.security.checkpoints import write_shared


def model_of(generator: Any, classes: tuple[str, ...] = ()) -> Model:
    return Model(generator.eval(), 1, {"model": {}, "data": {}}, classes, torch.ones(len(classes)))


def of_dcgan(seed: int, classes: tuple[str, ...] = (), size: int = 32) -> Model:
    torch.manual_seed(seed)
    generator = dcgan.Generator((size, size), width=4, latent_dim=8, classes=len(classes))
    for name, weight in generator.named_parameters():
        torch.nn.init.normal_(weight, 1.0 if name.endswith((".scale", "1.weight")) else 0.0, 0.2)
    return model_of(generator, classes)


def weights(model: Model) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = model.generator.state_dict()
    return state


def test_the_ends_are_the_models() -> None:
    a, b = of_dcgan(0), of_dcgan(1)
    assert a.blend(b, 64) is a.blend(b, weight=0) is a
    assert a.blend(b, 4) is a.blend(b) is b
    other = of_dcgan(2, ("x", "y"))
    assert other.blend(b, 4) is b and other.blend(b, 64) is other  # other classes, too


def test_layers_from_a_grid_on_are_those_of_the_other() -> None:
    a, b = of_dcgan(0), of_dcgan(1)
    blended = weights(a.blend(b, 16))
    for name, fine in (("stem.0", False), ("blocks.0.0", False), ("blocks.1.0", True), ("to_image", True)):
        assert torch.equal(blended[f"{name}.weight"], weights(b if fine else a)[f"{name}.weight"])
    statistics = [state["blocks.1.1.running_mean"] for state in (blended, weights(b))]
    assert not torch.equal(*statistics)  # estimated again, because the layers before are others


def test_soft_layers_and_weights() -> None:
    generator = of_dcgan(0).generator
    shares = fractions(generator, 32, 2, 0.5)
    names = ("stem.0.weight", "blocks.0.0.weight", "blocks.1.0.weight", "to_image.weight")
    assert [shares[name] for name in names] == [0, 0, 0.25, 0.5]
    a, b = of_dcgan(0), of_dcgan(1)
    half = weights(a.blend(b, weight=0.5))["stem.0.weight"]
    torch.testing.assert_close(half, (weights(a)["stem.0.weight"] + weights(b)["stem.0.weight"]) / 2)
    with pytest.raises(UserError, match="layers=0: give a whole number from 1"):
        a.blend(b, 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e308])
def test_weights_and_softness_without_limits_are_refused(value: float) -> None:
    for options in ({"weight": value}, {"weight": -value}, {"soft": value}, {"soft": value, "layers": 8}):
        with pytest.raises(UserError, match="give a number from"):
            of_dcgan(0).blend(of_dcgan(1), **options)


def test_the_classes_are_those_of_the_coarse_layers() -> None:
    with_classes, without = of_dcgan(0, ("x", "y", "z")), of_dcgan(1)
    blended = with_classes.blend(without, 16)
    assert blended.classes == ["x", "y", "z"] and without.classes == []
    assert torch.equal(weights(blended)["blocks.1.1.scale"], weights(without)["blocks.1.1.weight"].expand(3, -1))
    assert torch.equal(weights(blended)["stem.1.scale"], weights(with_classes)["stem.1.scale"])
    assert not torch.equal(blended.sample(4, label="x").tensor, blended.sample(4, label="y").tensor)
    plain = without.blend(with_classes, 16)
    assert plain.classes == []
    torch.testing.assert_close(weights(plain)["blocks.1.1.weight"], weights(with_classes)["blocks.1.1.scale"].mean(0))


def test_models_that_do_not_fit_are_refused() -> None:
    for other in (of_dcgan(1, size=64), model_of(r3gan.Generator((32, 32), width=32, latent_dim=8, group_width=8))):
        for layers in (8, None):  # with all layers, the result would be the other model
            with pytest.raises(UserError, match="both models need the same network and size"):
                of_dcgan(0).blend(other, layers)


def test_each_layer_has_the_height_of_its_grid() -> None:
    style = grid_heights(stylegan2.Generator((48, 32), width=4, latent_dim=8, max_channels=8, classes=2).eval())
    assert {height for name, height in style.items() if name.startswith(("mapping", "constant", "stages.0"))} == {6}
    assert {height for name, height in style.items() if name.startswith("stages.2.")} == {24}  # also of vectors
    fast = grid_heights(fastgan.Generator((64, 64), width=4, latent_dim=8).eval())
    assert fast["blocks.1.1.parametrizations.weight.original"] == 16
    assert fast["excitations.0.squeeze.parametrizations.weight.original"] == 64  # gates of the last grid
    residual = grid_heights(r3gan.Generator((32, 32), width=32, latent_dim=8, group_width=8).eval())
    assert residual["basis"] == residual["modulate.weight"] == 4 and residual["to_image.weight"] == 32


@pytest.mark.slow
def test_the_command(gan_command: Train, tmp_path: Path) -> None:
    gan_command("blend", "zoo:start64", "zoo:start64", "--layers", "16", "--soft", "1", "--out", "blend")
    front, text = card.read_card(tmp_path / "blend")
    assert front["license"] == card.license_of(zoo_folder("zoo:start64"))
    assert "`gan blend zoo:start64 zoo:start64 --layers 16 --soft 1.0 --weight 1`" in text
    about, start = (
        json.loads((folder / CONFIG).read_text()) for folder in (tmp_path / "blend", zoo_folder("zoo:start64"))
    )
    assert about["classes"] == start["classes"] and about["model"]["generator"] == start["model"]["generator"]
    assert gan.load(tmp_path / "blend").sample(1, label="maps").tensor.shape == (1, 3, 64, 64)
    assert "is not empty" in gan_command("blend", "blend", "blend", "--layers", "8", "--out", "blend", check=2).stderr
    said = gan_command("blend", "zoo:start64", "zoo:retro64", "--layers", "16", "--out", "other", check=2).stderr
    assert "both models need the same network and size" in said
    (write_shared(tmp_path / "unknown") / "README.md").unlink()
    assert "give --license NAME" in gan_command("blend", "unknown", "unknown", "--out", "other", check=2).stderr
    assert not (tmp_path / "other").exists()
