"""Each seed gives one image."""

import numpy as np
import pytest
import torch
from torch import nn

from gan.models.sampling import (
    ESTIMATION_IMAGES,
    ESTIMATION_SEED,
    classes_of,
    generate,
    latents,
    reestimate_batch_norm,
    unpadded,
)
from gan.networks.dcgan import Generator


def test_a_latent_is_a_function_of_its_seed() -> None:
    assert torch.equal(latents([3, 9, 2**62], 7)[1], latents([9], 7)[0])
    assert len({tuple(row.tolist()) for row in latents([0, 1, 2**32, 2**32 + 1, 2**63 - 1], 7)}) == 5
    assert latents([], 7).shape == (0, 7)


@pytest.mark.parametrize("count", [1, 3, 16, 17, 40])
def test_images_do_not_depend_on_the_batch(count: int) -> None:
    torch.manual_seed(0)
    generator = Generator((32, 32), width=8, latent_dim=6).eval()
    z = latents(range(40), 6)
    assert torch.equal(generate(generator, z)[:count], generate(generator, z[:count]))


def test_every_forward_pass_has_the_same_size() -> None:
    """Other batch sizes use other kernels with other rounding: in a test, 7 of 96 images changed."""

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

        def forward(self, z: torch.Tensor, label: torch.Tensor | None = None) -> torch.Tensor:
            return (self.scale * len(z) / 255).expand(len(z), 1, 2, 2)

    for count in (1, 15, 16, 17, 50):
        pictures = generate(Counting(), latents(range(count), 3))
        assert len(pictures) == count and pictures.unique().numel() == 1
    assert torch.equal(generate(Counting(), latents([1], 3)), generate(Counting(), latents(range(40), 3))[:1])


def test_unpadded_passes_have_only_the_rows_asked_for() -> None:
    torch.manual_seed(0)
    generator, sizes = Generator((32, 32), width=8, latent_dim=6).eval(), []
    generator.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    exact = generate(generator, latents(range(20), 6)).int()
    with unpadded():
        near = generate(generator, latents(range(20), 6)).int()
    assert sizes == [16, 16, 16, 4] and (exact - near).abs().max() <= 1


def test_batch_norm_gets_the_plain_average_of_fixed_latents() -> None:
    norm = nn.BatchNorm2d(3, momentum=0.25)
    generator = nn.Sequential(nn.Unflatten(1, (3, 1, 1)), norm)
    reestimate_batch_norm(generator, 3)
    z = torch.from_numpy(np.random.default_rng(ESTIMATION_SEED).standard_normal((ESTIMATION_IMAGES, 3), np.float32))
    torch.testing.assert_close(norm.running_mean, z.mean(0), atol=1e-5, rtol=0)
    assert not generator.training and not norm.training
    assert norm.momentum == 0.25
    before = norm.running_var.clone()
    reestimate_batch_norm(generator, 3)
    assert torch.equal(norm.running_var, before)


def test_classes_are_functions_of_the_seed_and_as_frequent_as_in_the_images() -> None:
    counts = torch.tensor([300, 0, 100])
    labels = classes_of(range(2000), counts)
    assert labels is not None
    shares = torch.bincount(labels, minlength=3) / 2000
    assert shares.tolist() == pytest.approx([0.75, 0, 0.25], abs=0.03)
    assert torch.equal(classes_of([5, 1999], counts), labels[[5, 1999]])
    alike = torch.bincount(classes_of(range(2000), torch.zeros(4)))
    assert alike.min() > 400
    assert classes_of([1], torch.empty(0)) is None
