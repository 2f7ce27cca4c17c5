"""Schedules over images agree with their formulas and depend only on the images seen."""

import math
from typing import Any

import pytest
from hydra.utils import instantiate
from lightning import Callback, Trainer

from gan.config.compose import compose
from gan.penalties.r1 import R1
from gan.training.schedules import Schedule, drop_overridden_schedules, flattened
from gan.utils.errors import UserError

from .test_module import fit, model


def test_linear_and_cosine_follow_their_formulas() -> None:
    linear, cosine = Schedule(2.0, 1.0, 100), Schedule(2.0, 1.0, 100, "cosine")
    for seen in (0, 10, 50, 99, 100):
        assert linear(seen) == pytest.approx(2 - seen / 100)
        assert cosine(seen) == pytest.approx(1 + (1 + math.cos(math.pi * seen / 100)) / 2)
    assert linear(10_000) == cosine(10_000) == 1


def test_a_value_is_held_before_it_falls() -> None:
    schedule = Schedule(2.0, 0.0, 100, hold=0.5)
    assert [schedule(seen) for seen in (0, 49, 50, 75, 99, 100, 200)] == pytest.approx([2, 2, 2, 1, 0.04, 0, 0])
    cosine = Schedule(2.0, 0.0, 100, "cosine", hold=0.75)
    assert [cosine(seen) for seen in (75, 87.5, 100)] == pytest.approx([2, 1, 0])


def test_a_run_of_unknown_length_keeps_the_start() -> None:
    assert {Schedule(2.0, 0.0, None, hold=hold)(seen) for hold in (0.0, 0.5) for seen in (0, 10**9)} == {2.0}


def test_lists_are_interpolated_together() -> None:
    assert Schedule([0.0, 0.9], [0.0, 0.99], 100)(50) == pytest.approx([0.0, 0.945])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"end": [1.0, 2.0]}, "two numbers or two lists"),
        ({"start": float("nan")}, "two numbers or two lists"),
        ({"shape": "square"}, "use linear, cosine"),
        ({"images": 0}, "at least 1"),
        ({"hold": 1.0}, "less than 1"),
    ],
)
def test_bad_schedules_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Schedule(**({"start": 1.0, "end": 0.0, "images": 10} | options))


def test_values_are_set_before_each_batch() -> None:
    class Watch(Callback):
        seen: list[tuple[Any, ...]] = []  # noqa: RUF012

        def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: object) -> None:
            generator, discriminator = (optimizer.param_groups[0] for optimizer in trainer.optimizers)
            penalty, ema = pl_module.penalties.r1.weight, pl_module.ema.half_life
            self.seen.append((generator["lr"], discriminator["betas"][1], penalty, ema))

    watch = Watch()
    watch.seen = []
    schedules = {
        "generator_optimizer": {"lr": Schedule(0.4, 0.0, 16)},
        "discriminator_optimizer": {"betas": Schedule([0.0, 0.8], [0.0, 0.9], 8)},
        "penalties": {"r1": {"weight": Schedule(8.0, 0.0, 8)}},
        "ema": {"half_life": Schedule(0, 16, 16)},
    }
    fit(model(norm="none", penalties={"r1": R1()}, schedules=schedules), 4, watch)
    expected = [(0.4, 0.8, 8.0, 0), (0.3, 0.85, 4.0, 4), (0.2, 0.9, 0.0, 8), (0.1, 0.9, 0.0, 12)]
    for got, wanted in zip(watch.seen, expected, strict=True):
        assert got == pytest.approx(wanted)


@pytest.mark.parametrize("path", ["generator_optimizer.rate", "generator_optimizer.betas", "ema.life", "x"])
def test_missing_values_are_named(path: str) -> None:
    with pytest.raises(UserError, match=path):
        fit(model(schedules={path: Schedule(1.0, 0.0, 8)}), 1)


def test_a_published_length_is_at_most_that_of_the_run() -> None:
    for options, length in (
        (["images=200_000"], 200_000),
        (["images=90_000_000"], 20_000_000),
        (["minutes=5"], 20_000_000),
    ):
        cfg = compose(["model=r3gan", *options])
        assert cfg.model.schedules.generator_optimizer.lr.images == length


# Fraction of the run during which a recipe keeps its learning rates, as published, before they fall linearly to 0.
HELD = {"sngan": 0, "wgan_gp": 0, "cyclegan": 0.5, "cut": 0.5, "fastcut": 0.75, "pix2pix": 0.5, "pix2pix_unet": 0.5}


@pytest.mark.parametrize("recipe", HELD)
def test_learning_rates_fall_as_published(recipe: str) -> None:
    data = ["data=retro_filter", "data.root=x"] if recipe not in ("sngan", "wgan_gp") else []
    networks = ("generator_optimizer", "discriminator_optimizer")

    def rates(length: str) -> list[Schedule]:
        cfg = compose([f"model={recipe}", *data, *(f"model.{network}.lr=3e-4" for network in networks), length])
        return [instantiate(cfg.model.schedules[network].lr) for network in networks]

    held = int(1000 * HELD[recipe])
    for rate in rates("images=1000"):
        assert [rate(seen) for seen in (0, held, (held + 1000) // 2, 1000)] == pytest.approx([3e-4, 3e-4, 1.5e-4, 0])
    for rate in rates("minutes=5"):
        assert rate(10**9) == 3e-4  # the length in images is unknown


def test_null_disables_a_schedule_and_a_number_is_refused() -> None:
    assert flattened({"generator_optimizer": {"lr": None}, "penalties": {}}) == flattened({}) == {}
    with pytest.raises(UserError, match=r"generator_optimizer\.lr=0\.1: is not a schedule; use null to disable it"):
        flattened({"generator_optimizer": {"lr": 0.1}})


def test_any_recipe_can_have_falling_learning_rates() -> None:
    cfg = compose(["schedule=linear_decay", "images=1000", "model.schedules.generator_optimizer.lr.hold=0.5"])
    schedules = flattened(instantiate(cfg.model.schedules, _convert_="all"))
    for network in ("generator_optimizer", "discriminator_optimizer"):
        rate = cfg.model[network].lr
        assert [schedules[f"{network}.lr"](seen) for seen in (0, 500, 750, 1000)] == [rate, rate, rate / 2, 0]


@pytest.mark.parametrize(("choice", "left"), [("recipe", []), ("linear_decay", ["generator_optimizer.lr"])])
def test_a_typed_rate_replaces_the_schedule_of_the_recipe_alone(choice: str, left: list[str]) -> None:
    schedules = {"generator_optimizer.lr": 1, "penalties.r1.weight": 2}
    typed = ["model.generator_optimizer.lr=1e-4", "penalty.r1.weight=3"]
    lines = list(drop_overridden_schedules(schedules, typed, choice))
    assert list(schedules) == left and len(lines) == 2 - len(left)


@pytest.mark.parametrize(
    "owner",
    [{"penalties": {"r1": {"weight": Schedule(8.0, 0.0, 8)}}}, {"augment": {"probability": Schedule(0.0, 0.3, 8)}}],
)
def test_schedules_of_missing_parts_are_ignored(owner: dict[str, Any]) -> None:
    fit(model(schedules=owner), 1)
