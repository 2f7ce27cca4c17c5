"""Translators: images instead of latents, a D that sees pairs, and the previews and scores of callbacks."""

import json
from pathlib import Path

import pytest
import torch
from hydra.errors import InstantiationException
from omegaconf import OmegaConf
from torch import Tensor, nn

from gan.contracts import Augmented
from gan.data.translation import StyledDataModule, UnpairedDataModule, images_for_color_maps
from gan.evaluation.translations import recolored
from gan.images.convert import to_float, to_uint8
from gan.metrics.pairs import ground_truth_scores
from gan.networks.closed_form.choose import choose
from gan.penalties.reconstruction import Reconstruction
from gan.training.initial_weights import start_from
from gan.training.translation import PairStep
from gan.translation.tiling import translate_each
from tests.conftest import Train
from tests.recipes import build, configuration, fit, photographs


class Seen(nn.Module):
    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        self.x = x
        return x.mean((1, 2, 3))


class Shift(nn.Module):
    def forward(self, x: Tensor, draws: dict[str, Tensor]) -> Tensor:
        return x + draws["by"][:, None, None, None]


def pair_step(a: Tensor, b: Tensor, fake: Tensor, by: Tensor) -> PairStep:
    augmented = Augmented(Shift(), {"by": by})
    return PairStep(
        batch=0, real=b, fake=fake, real_a=a, generator=nn.Identity(), discriminator=Seen(), augmented=augmented
    )


def test_d_sees_input_and_image_with_the_same_augmentation() -> None:
    a, b, fake = torch.rand(3, 2, 3, 4, 4)
    step = pair_step(a, b, fake, torch.tensor([1.0, -1.0]))
    step.critic(b)
    moved = torch.tensor([1.0, -1.0]).view(2, 1, 1, 1)
    assert torch.equal(step.discriminator.x, torch.cat([a + moved, b + moved], 1))
    (part, _) = step.split(1)
    assert isinstance(part, PairStep) and torch.equal(part.real_a, a[:1])


def test_reconstruction_is_the_mean_absolute_difference_in_fp32() -> None:
    a, b, fake = torch.rand(3, 2, 3, 4, 4)
    step = pair_step(a, b, fake.bfloat16().requires_grad_(), torch.zeros(2))
    term = Reconstruction(10.0)(step)
    assert term.dtype == torch.float32
    assert term.item() == pytest.approx(10 * (b - fake.bfloat16().float()).abs().double().mean().item(), rel=1e-5)
    term.backward()
    assert step.fake.grad is not None


@pytest.mark.slow
def test_it_learns_a_style_from_pairs_and_shows_input_translation_and_truth() -> None:
    built = build("pix2pix", "data.style=fade", "data.validation=0.2", "model.generator.width=8", "data.flip=false")
    module, data = built
    fit(built, 150)
    first, truth = data.inputs(3, held_out=True), data.ground_truth(3, held_out=True)
    shown = module.view.preview(10)
    assert len(shown) == 9 and module.view.columns(64) == 9
    assert torch.equal(shown[::3], first) and torch.equal(shown[2::3], truth)
    apart = [(to_float(each) - to_float(truth)).abs().mean().item() for each in (first, shown[1::3])]
    assert apart[1] < 0.6 * apart[0]
    held = data.inputs(99, held_out=True)
    whole = module.view.fakes(2 * len(held) + 1)
    assert torch.equal(whole[: len(held)], whole[len(held) : -1])  # over again
    shares = [module.view.fakes(7, rank, 2) for rank in (0, 1)]
    assert torch.equal(torch.stack([shares[0][1], shares[1][1]]), module.view.fakes(7)[2:4])


def test_a_translation_does_not_depend_on_the_batch() -> None:
    module, data = build("pix2pix")
    data.setup("fit")
    nn.init.normal_(module.generator.to_image.weight, 0, 0.05)
    pictures = data.inputs(4)
    together = translate_each(module.generator, pictures)
    assert torch.equal(translate_each(module.generator, pictures[2:3]), together[2:3])
    assert torch.equal(together[:1], to_uint8(module.generator(to_float(pictures[:1]))))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["model=dcgan", "data=unpaired", "data.a=PHOTOS", "data.b=PHOTOS"], "takes latents, not images to translate"),
        (["model=pix2pix"], "a translator needs data=unpaired, data=paired, data=retro_filter or"),
        (["model=pix2pix", "data=retro_filter", "data.root=PHOTOS"], "need pairs: use data=paired"),
        (["model=dcgan", "penalty=[reconstruction]"], "penalty=reconstruction: is for translators"),
        (["model=cut", "data=retro_filter", "data.root=PHOTOS", "data.split=file", "data.style=fade", "data.size=8"],
         "data.size=8x8: this discriminator needs sides of at least 12 pixels"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_data_and_model_must_fit(typed: list[str], said: str, train: Train) -> None:
    words = [word.replace("PHOTOS", photographs()) for word in typed]
    error = train(*words, "images=8", check=2, tiny=False).stderr
    assert said in error and error.count("\n") == 1


def test_cyclegan_trains_both_directions_with_images_of_the_pool() -> None:
    module, data = build("cyclegan", "data.batch_size=2", "model.pool_size=3", "penalty=[cycle,identity]")
    module = fit((module, data), 2)
    assert [len(pool.stored) for pool in module.pools] == [3, 3]
    batch = next(iter(data.train_dataloader()))
    step = module.make_step(batch)
    step.generate()
    assert torch.equal(step.real_a, to_float(batch["a"])) and torch.equal(step.other.real_a, to_float(batch["b"]))
    terms = module.generator_loss(step)
    one = {name: penalty(step) for name, penalty in module.penalties.items()}
    other = {name: penalty(step.other) for name, penalty in module.penalties.items()}
    for name in ("cycle", "identity"):
        assert terms[f"penalty/{name}"].item() == pytest.approx((one[name] + other[name]).item())
    expected = sum(module.loss.generator(None, each.critic(each.fake)).item() for each in (step, step.other))
    assert terms["loss/generator"].item() == pytest.approx(expected)
    shown = module.view.preview(8)  # input, translation, cycle and truth of two pictures
    assert len(shown) == 8 and module.view.columns(64) == 8
    assert torch.equal(shown[2:3], translate_each(module.ema.module.b2a, shown[1:2]))


def first_gain(run: Path) -> float:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return next(line["eval/gain"] for line in lines if "eval/gain" in line)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_new_translator_starts_from_the_fitted_color_map(ranks: int, train: Train, tmp_path: Path) -> None:
    options = ["model=lut", "data=retro_filter", f"data.root={photographs()}", "data.style=sepia", "data.split=file"]
    options += ["data.size=32", "data.validation=0.2", "data.pairing=shared"]
    options += ["model.generator.lut_size=17", "model.discriminator.width=4"]
    options += ["callback.evaluate.extractors=[random_conv]", "images=16"]
    train(*options, f"trainer.devices={ranks}", "hydra.run.dir=run", tiny=False)
    state = torch.load(tmp_path / "run" / "checkpoints" / "images-000000016.ckpt", weights_only=True)
    cfg = state["config"]["data"]
    data = StyledDataModule(cfg["root"], "sepia", "shared", size=32, validation=0.2, split="file")
    data.setup("fit")
    pictures, truths = data.inputs(99, held_out=True), data.ground_truth(99, held_out=True)
    change = choose(*images_for_color_maps(data, 99)).color_map
    moved = recolored(change, pictures, False)
    assert first_gain(tmp_path / "run") == pytest.approx(ground_truth_scores(pictures, moved, truths)["gain"], abs=0.02)
    for network in ("generator", "ema.module"):
        torch.testing.assert_close(state["state_dict"][f"{network}.start.table"], change.table, atol=0.02, rtol=0)
    if ranks == 1:  # what was learned elsewhere is not fitted again
        train(*options[:-1], "images=8", "init_from=run", "hydra.run.dir=next", tiny=False)
        assert first_gain(tmp_path / "next") != first_gain(tmp_path / "run")


@pytest.mark.slow
def test_both_directions_start_from_fitted_color_maps(capsys: pytest.CaptureFixture[str]) -> None:
    module, data = build("cyclegan", "data.style=film")
    module.initialize_from(data)
    said = capsys.readouterr().out
    assert "color map a2b fitted: " in said and "color map b2a fitted: " in said
    both = module.ema.module
    a, b = data.inputs(99), data.reals(99)
    for network, inputs, targets in ((both.a2b, a, b), (both.b2a, b, a)):
        levels = [each.double().mean((0, 2, 3)) for each in (inputs, translate_each(network, inputs), targets)]
        assert (levels[1] - levels[2]).norm() < 0.5 * (levels[0] - levels[2]).norm()


@pytest.mark.parametrize(("position", "said"), [("radial", ", and a vignette ("), ("none", "color map fitted: ")])
def test_the_position_of_the_color_map_can_be_given(
    position: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module, data = build("cut", f"model.color_position={position}", "data.style=vignette")
    module.initialize_from(data)
    found = capsys.readouterr().out
    assert said in found and ("color_position=none" in found) == (position != "none")
    with pytest.raises(InstantiationException, match=r"model\.color_position=middle: unknown"):
        build("cut", "model.color_position=middle")


def test_parameters_of_a_penalty_are_trained_with_its_network() -> None:
    module, data = build("cut")
    before = [p.clone() for p in module.penalties.parameters()]
    fit((module, data), 2)
    after = list(module.penalties.parameters())
    assert len(before) == 16 and not any(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_without_ground_truth_grids_show_translations_of_target_images() -> None:
    module, _ = build("cut")
    folder = photographs()
    data = UnpairedDataModule(folder, folder, size=32, batch_size=4, fit="crop", split="file", validation=0.2)
    fit((module, data), 1)
    shown = module.view.preview(16)
    assert len(shown) == 16 and module.view.columns(64) == 8
    assert torch.equal(shown[::4], data.inputs(4, held_out=True)) and torch.equal(shown[2::4], data.reals(4, True))
    assert torch.equal(shown[3::4], translate_each(module.view.generator(), shown[2::4]))


def test_cyclegan_in_micro_batches_and_its_pool_from_a_checkpoint(tmp_path: Path) -> None:
    fit(build("cyclegan", "model.micro_batch=2"), 2)
    built = build("cyclegan")
    cfg = configuration("cyclegan")
    built[0].config = {name: OmegaConf.to_container(cfg[name], resolve=True) for name in ("model", "data")}
    fit(built, 3, save=tmp_path / "some.ckpt")
    module, _ = build("cyclegan")
    module.config = built[0].config
    start_from(module, tmp_path / "some.ckpt")
    assert not module.pools[0].stored
    trained = torch.load(tmp_path / "some.ckpt", weights_only=True)["state_dict"]
    assert all(
        torch.equal(value, trained[name]) for name, value in module.generator.state_dict(prefix="generator.").items()
    )


def test_without_fitting_a_translator_starts_from_the_identity() -> None:
    module, data = build("cut", "model.fit_color_map=false", "data.style=fade")
    module.initialize_from(data)
    data.setup("fit")
    assert torch.equal(translate_each(module.generator, data.inputs(2)), data.inputs(2))
