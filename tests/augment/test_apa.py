"""APA: the images that D sees as real, in a training step, with classes, other augmentations and micro-batches."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gan.augment.ada import ADA, Adaptive
from gan.augment.apa import APA
from gan.augment.diffaugment import DiffAugment
from gan.contracts import PSEUDO_REAL, Augmented, LatentStep, Step
from gan.losses.hinge import Hinge
from gan.losses.wasserstein import Wasserstein
from gan.training.base import check_parts
from gan.training.module import GAN
from gan.utils.errors import UserError
from tests.parts import configured

none: Any = nn.Identity()


class Judge(nn.Module):
    """A discriminator that stores its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Tensor, Tensor | None]] = []
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        self.seen.append((x.detach(), label))
        return self.weight * x.mean((1, 2, 3))


def model_of(probability: float, augment: Any = None) -> GAN:
    adaptive = Adaptive(APA(augment), max_probability=1.0)
    adaptive.probability.fill_(probability)
    generator = nn.Linear(1, 1)
    generator.latent_dim = 1
    return GAN(generator, Judge(), Hinge(), none, none, augment=adaptive, batch_size=8)


def step_of(model: GAN, n: int = 400) -> Step:
    """Return a step whose real images are 0 and whose generated images are their own number, from 1."""
    real, draws = torch.zeros(n, 3, 16, 16), model.augment.draw(n, (16, 16), torch.Generator().manual_seed(0))
    fake = (real + torch.arange(1.0, n + 1)[:, None, None, None]).requires_grad_()
    return Step(
        batch=0, real=real, fake=fake, label=torch.arange(n), generator=none, discriminator=model.discriminator,
        augmented=Augmented(model.augment, draws),
    )  # fmt: skip


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_generated_images_take_the_places_of_real_ones(probability: float) -> None:
    model = model_of(probability)
    step = step_of(model)
    images = model.reals_for_discriminator(step)
    replaced = images[:, 0, 0, 0] != 0
    assert replaced.float().mean() == pytest.approx(probability, abs=0.07)
    assert torch.equal(images[replaced], step.fake[replaced]) and not images.requires_grad
    parts = [model.reals_for_discriminator(part) for part in step.split(100)]
    assert torch.equal(torch.cat(parts), images)
    step.fake = step.fake.bfloat16()  # under autocast
    assert model.reals_for_discriminator(step).dtype == torch.float32


def test_only_the_loss_of_real_images_sees_them() -> None:
    model = model_of(1.0)
    step, judge = step_of(model, 8), model.discriminator
    model.discriminator_loss(step)
    assert [torch.equal(seen, step.fake) for seen, _ in judge.seen] == [True, True]
    assert all(torch.equal(label, step.label) for _, label in judge.seen)  # with their own labels
    assert not step.real.any()  # for penalties and auxiliary losses
    judge.seen.clear()
    model.generator_loss(step)
    assert [torch.equal(seen, step.fake) for seen, _ in judge.seen] == [True]


def test_pseudo_real_images_get_the_augmentation_of_real_ones() -> None:
    model, plain = model_of(1.0, DiffAugment()), DiffAugment()
    step = step_of(model, 8)
    model.discriminator_loss(step)
    draws = step.augmented.draws
    assert draws.keys() == {*plain.policy, PSEUDO_REAL}
    assert torch.equal(model.discriminator.seen[0][0], plain(step.fake, draws))


def test_without_another_augmentation_images_stay_as_they_are() -> None:
    model, x = model_of(1.0), torch.rand(8, 3, 16, 16)
    assert torch.equal(step_of(model, 8).augmented(x), x)


def test_both_probabilities_follow_the_same_logits() -> None:
    model = model_of(0.0, Adaptive(ADA(), adjustment_images=1000))
    adaptive = model.augment
    adaptive.adjustment_images = 1000
    for batch in range(100):
        step = step_of(model, 10)
        step.batch, step.real_logits = batch, torch.ones(10)
        now = adaptive.feedback(step)
        if batch == 39:
            assert adaptive.augment.augment.probability == now == pytest.approx(0.4)
    assert now == 1 and adaptive.augment.augment.probability == pytest.approx(0.8)
    names = {"probability", "signs", "augment.augment.probability", "augment.augment.signs"}
    assert adaptive.state_dict().keys() == names


def test_the_configuration_is_the_published_one() -> None:
    config = configured("augment")["apa"]
    assert config["augment"]["augment"] is None
    published = {"target": 0.6, "interval": 4, "max_probability": 1.0}
    assert {name: config[name] for name in published} == published


def test_a_loss_without_signs_is_refused() -> None:
    with pytest.raises(UserError, match="augment=ada and apa adapt to the sign"):
        check_parts(Judge(), Wasserstein(), {}, Adaptive(APA()), LatentStep)
