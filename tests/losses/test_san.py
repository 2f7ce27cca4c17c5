"""SAN: gradients of each loss agree with formulas, and unsupported losses are refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gan.losses.heads import per_image
from gan.losses.hinge import Hinge
from gan.losses.least_squares import LeastSquares
from gan.losses.nonsaturating import Nonsaturating
from gan.losses.relativistic import Relativistic
from gan.losses.san import SAN
from gan.losses.wasserstein import Wasserstein
from gan.networks import dcgan, r3gan, resnet, stylegan2
from gan.networks.layers import SANHead
from gan.training.module import GAN
from gan.utils.errors import UserError


def test_the_loss_trains_the_features_and_wasserstein_the_direction() -> None:
    torch.manual_seed(0)
    head = SANHead(5).double()
    real, fake = (torch.randn(3, 5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    w = head.weight.detach()[0]
    scale, omega = w.norm(), w / w.norm()
    SAN(Nonsaturating()).discriminator(head(real, None), head(fake, None)).backward()
    slope = -torch.sigmoid(-(real.detach() @ w)) / 3  # of E softplus(-l) with l = s <h, omega> = <h, w>
    assert real.grad is not None and fake.grad is not None
    torch.testing.assert_close(real.grad, slope[:, None] * w)
    rise = torch.sigmoid(fake.detach() @ w) / 3
    torch.testing.assert_close(fake.grad, rise[:, None] * w)
    # |w| by the loss, as a scale of the features; its direction by -E <s h, omega> over real and + over generated
    along = (slope @ (real.detach() @ omega) + rise @ (fake.detach() @ omega)) * omega
    uphill = scale * (fake.detach().mean(0) - real.detach().mean(0))
    turning = (uphill - (uphill @ omega) * omega) / scale
    torch.testing.assert_close(head.weight.grad, (along + turning)[None])


def test_the_generator_follows_the_logit() -> None:
    head, fake = SANHead(5, classes=2), torch.randn(3, 5, requires_grad=True)
    label = torch.tensor([0, 1, 1])
    logits = head(fake, label)
    SAN(Hinge()).generator(None, logits).backward()
    torch.testing.assert_close(fake.grad, -head.weight.detach()[label] / 3)
    torch.testing.assert_close(logits.function, logits.direction)
    torch.testing.assert_close(per_image(logits), (fake * head.weight[label]).sum(1))


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize(
    "discriminator",
    [
        lambda **options: dcgan.Discriminator((16, 24), width=4, **options),
        lambda **options: resnet.Discriminator((16, 24), width=4, **options),
        lambda **options: stylegan2.Discriminator((16, 24), width=4, max_channels=8, **options),
        lambda **options: r3gan.Discriminator((16, 24), width=16, blocks_per_stage=1, group_width=4, **options),
    ],
)
def test_every_weight_gets_a_gradient(discriminator: type, classes: int) -> None:
    network = discriminator(head="san", classes=classes)
    label = torch.tensor([0, 1, 2, 0])
    real, fake = (network(torch.randn(4, 3, 16, 24), label) for _ in range(2))
    SAN(Wasserstein()).discriminator(real, fake).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("loss", [Relativistic(), LeastSquares()])
def test_other_losses_are_refused(loss: nn.Module) -> None:
    with pytest.raises(UserError, match="not derived for"):
        SAN(loss)


@pytest.mark.parametrize(("head", "loss"), [("san", Hinge()), (None, SAN(Hinge()))])
def test_head_and_loss_must_fit(head: str | None, loss: nn.Module) -> None:
    networks = dcgan.Generator((16, 16), width=4), dcgan.Discriminator((16, 16), width=4, head=head)
    with pytest.raises(UserError, match="head=san"):
        GAN(*networks, loss, torch.optim.Adam, torch.optim.Adam, batch_size=4)
