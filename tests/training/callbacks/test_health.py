"""The health monitor: its three values, and findings that are printed once."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan.data.module import ImageDataModule
from gan.metrics.pixels import diversity
from gan.runs.health import findings
from gan.training.callbacks.health import Health, overfitting
from gan.training.callbacks.loop import TrainingTime

from ..test_module import fit, model


def test_overfitting_agrees_with_the_ada_paper_and_ignores_shift_and_scale() -> None:
    train, held_out, fakes = torch.tensor([3.0, 5.0]), torch.tensor([1.0, 2.0]), torch.tensor([-1.0, 1.0])
    error = ((2 + 0.5) / 2) ** 0.5 / 4  # of the difference of two means of two
    assert overfitting(train, held_out, fakes) == pytest.approx(((4 - 1.5) / 4, error))
    assert overfitting(7 * train + 2, 7 * held_out + 2, 7 * fakes + 2) == pytest.approx(((4 - 1.5) / 4, error))
    assert overfitting(fakes, held_out, train) == (0, 0)  # D prefers what is generated


def test_diversity_is_0_for_equal_images() -> None:
    images = torch.randint(0, 256, (8, 3, 16, 16), dtype=torch.uint8)
    assert diversity(images[:1].expand(8, -1, -1, -1)) == 0 < diversity(images)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"diversity": 0.9, "accuracy": 0.8, "overfitting": 0.1}, []),
        ({"diversity": 0.9, "accuracy": 0.995}, ["too strong"]),
        ({"diversity": 0.9, "accuracy": 0.5}, ["too weak"]),
        ({"diversity": 0.9, "augment": 0.8, "max_probability": 0.8}, ["maximal augmentation"]),
        ({"diversity": 0.9, "augment": 0.7, "max_probability": 0.8}, []),
        ({"diversity": 0.9, "max_probability": 0.0}, []),  # no probability was logged yet
        (
            {"diversity": 0.9, "augment": float(torch.full((156,), 0.8).mean()), "max_probability": 0.8},
            ["maximal augmentation"],
        ),
        ({"diversity": 0.9, "overfitting": 0.7, "overfitting_bound": 0.3}, []),
        ({"diversity": 0.9, "skipped": 0.02}, ["skipped updates"]),
        (
            {"diversity": 0.1, "accuracy": 1.0, "overfitting": 0.7, "overfitting_bound": 0.6},
            ["mode collapse", "too strong", "overfitting"],
        ),
    ],
)
def test_findings(values: dict[str, float], expected: list[str]) -> None:
    assert [finding.name for finding in findings(values)] == expected


class Constant(nn.Module):
    """A collapsed generator: the same image for every latent."""

    latent_dim = 6
    small_output = False

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Parameter(torch.zeros(1, 3, 16, 16))

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return self.image.expand(len(z), -1, -1, -1)


@pytest.mark.parametrize(("first", "times"), [(8, 2), (32, 1)])
def test_a_collapsed_generator_is_reported_once_and_at_the_end(
    first: int, times: int, capsys: pytest.CaptureFixture[str]
) -> None:
    module = model()
    module.generator, module.ema.module = Constant(), Constant().requires_grad_(False)
    fit(module, 8, Health(interval=first, first=first, num_images=4, silent=0))  # 32 images
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("health:")]
    assert said[0].startswith(
        f"health: at {first} images: mode collapse: the mean distance between samples is 0% of that"
    )
    assert sum("mode collapse" in line and "Try init_from=" in line for line in said) == 1
    assert sum("mode collapse" in line for line in said) == times
    assert said[-1].startswith("health: at the end") == (times == 2)


def test_the_accuracy_is_logged_and_checks_do_not_change_training() -> None:
    plain, watched = model(log_interval=8), model(log_interval=8)
    fit(plain, 6)
    fit(watched, 6, Health(interval=8, first=8, num_images=4, silent=0))
    for (name, value), other in zip(plain.state_dict().items(), watched.state_dict().values(), strict=True):
        if not name.startswith("ema"):  # whose BatchNorm is estimated when something is drawn
            assert torch.equal(value, other), name
    assert 0 <= watched.loss_log.means["health/accuracy"] <= 1
    assert watched.discriminator.training


def test_overfitting_needs_held_out_images() -> None:
    logged: dict[str, Any] = {}

    class Module(type(model())):
        def log_scalars(self, scalars: Any) -> None:
            logged.update(scalars)

    for options, expected in (({}, False), ({"split": "file", "validation": 0.5}, True)):
        module = model()
        module.__class__ = Module
        logged.clear()
        fit(
            module,
            2,
            Health(interval=4, first=4, num_images=4),
            data=ImageDataModule(size=16, num_images=24, batch_size=4, **options),
        )
        assert ("health/overfitting" in logged) is expected and "health/diversity" in logged


def test_the_first_minute_is_silent_and_a_finding_that_lasts_is_reported_after_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    module, clock = model(), TrainingTime()
    module.generator, module.ema.module = Constant(), Constant().requires_grad_(False)
    health = Health(interval=8, first=8, num_images=4)
    fit(module, 4, clock, health)
    assert "health:" not in capsys.readouterr().out and health.bad == {}
    clock.counted = 60
    fit(module, 2, clock, health)
    assert "health: at 8 images: mode collapse" in capsys.readouterr().out
