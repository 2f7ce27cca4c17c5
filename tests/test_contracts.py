"""Parts that do not keep their contract are refused in one line, before the first step."""

import functools
from typing import Any

import pytest
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning import LightningDataModule
from omegaconf import OmegaConf
from torch import Tensor, nn

from gan.contracts import CycleStep, DataModule, LatentStep, PairStep, Step, TranslationStep, check, check_step
from gan.evaluation import registry
from gan.losses.hinge import Hinge
from gan.networks.dcgan import Discriminator, Generator
from gan.penalties import blurred_content, cycle, identity, patch_nce, path_length, r1, reconstruction
from gan.training.base import freeze
from gan.training.module import GAN
from gan.training.trainer import DDPPerNetwork
from gan.utils.errors import UserError
from tests.recipes import build, configuration, fit

SGD = functools.partial(torch.optim.SGD, lr=1e-3)
DATA = ("data.size=16",)


class NeedsLatents(nn.Module):
    """A user's penalty."""

    network, interval = "generator", 1

    def forward(self, step: LatentStep) -> Tensor:
        return step.z.square().mean()


class Sized(NeedsLatents):
    def __init__(self, size: Any) -> None:
        super().__init__()
        self.size = size


@pytest.mark.parametrize(
    ("penalty", "fits", "others"),
    [
        (cycle.CycleConsistency, [CycleStep], [LatentStep, TranslationStep, PairStep]),
        (identity.IdentityMapping, [TranslationStep, PairStep, CycleStep], [LatentStep]),
        (blurred_content.BlurredContent, [TranslationStep, PairStep, CycleStep], [LatentStep]),
        (functools.partial(patch_nce.PatchNCE, 3, 4), [TranslationStep, PairStep, CycleStep], [LatentStep]),
        (reconstruction.Reconstruction, [TranslationStep, PairStep], [LatentStep]),
        (path_length.PathLength, [LatentStep], [TranslationStep, CycleStep]),
        (NeedsLatents, [LatentStep], [CycleStep]),
        (r1.R1, [LatentStep, CycleStep, Step], []),
    ],
)
def test_the_annotation_of_a_penalty_decides_which_models_it_fits(penalty: Any, fits: Any, others: Any) -> None:
    part = penalty()
    for step in fits:
        check_step(part, step, "mine")
    for step in others:
        with pytest.raises(UserError, match=r"penalty=mine: is for .*, not for this model"):
            check_step(part, step, "mine")


def test_a_model_refuses_penalties_that_do_not_fit() -> None:
    with pytest.raises(InstantiationException, match="penalty=patch_nce: is for translators"):
        build("dcgan", "penalty=[patch_nce]")
    module, _ = build("cyclegan")
    parts: dict[str, Any] = {"generator": module.generator, "discriminator": module.discriminator, "loss": Hinge()}
    with pytest.raises(UserError, match="penalty=mine: is for models that generate images from latents"):
        type(module)(
            **parts,
            generator_optimizer=SGD,
            discriminator_optimizer=SGD,
            batch_size=4,
            penalties={"mine": NeedsLatents()},
        )


class WithoutLatentDim(nn.Module):
    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return z


def test_a_penalty_may_get_the_size_of_the_images() -> None:
    cfg = configuration("dcgan")
    sized = {"_target_": "tests.test_contracts.Sized", "size": "${sides:${data.size}}"}
    OmegaConf.update(cfg, "penalty.size", sized, force_add=True)
    module = instantiate(cfg.model)
    assert list(module.penalties["size"].size) == [16, 16]


def gan(kind: type[GAN] = GAN, generator: nn.Module | None = None, **options: Any) -> GAN:
    discriminator = Discriminator((16, 16), width=4)
    return kind(generator or Generator((16, 16), width=4, latent_dim=6), discriminator, Hinge(), SGD, SGD,
                batch_size=4, **options)  # fmt: skip


def test_a_generator_without_latent_dim_is_refused() -> None:
    with pytest.raises(UserError, match=r"model.generator: WithoutLatentDim has no latent_dim; see Generator in gan/"):
        gan(generator=WithoutLatentDim())


def test_parts_get_the_optional_members_that_they_lack() -> None:
    generator = WithoutLatentDim()
    generator.latent_dim = 6
    model = gan(generator=generator, penalties={"mine": NeedsLatents()})
    assert model.generator.classes == 0 and model.ema.module.small_output is False
    assert model.loss.signed_logits is True and model.penalties["mine"].needs_pairs is False


def test_a_data_module_without_reals_is_refused() -> None:
    with pytest.raises(UserError, match=r"data: LightningDataModule has no batch_size and no reals; see DataModule"):
        check(LightningDataModule(), DataModule, "data")


def test_a_metric_without_compute_is_refused() -> None:
    with pytest.raises(UserError, match=r"metric=mine: .* has no compute; see Metric in gan/"):
        registry.create({"mine": {"_target_": "fractions.Fraction"}})


def test_no_layer_of_a_network_without_weights_is_frozen() -> None:
    assert freeze(nn.Identity(), "discriminator", 0) == []


class Third(GAN):
    """A user's model with a third network."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.third = nn.Linear(2, 1)


class WithOptimizer(Third):
    """Its optimizer is not stepped: `update` switches off the gradients of all networks but one."""

    def configure_optimizers(self) -> list[Any]:
        return [*super().configure_optimizers(), torch.optim.Adam(self.third.parameters())]

    def optimizers(self, *_: Any, **__: Any) -> Any:
        return super().optimizers()[:2]


def test_a_network_without_optimizer_is_refused() -> None:
    _, data = build("dcgan", *DATA)
    with pytest.raises(UserError, match=r"Third\.third\.weight: no optimizer updates it"):
        fit((gan(Third), data), 1)


def test_an_optimizer_that_gets_no_gradient_is_refused() -> None:
    _, data = build("dcgan", *DATA)
    with pytest.raises(UserError, match=r"WithOptimizer\.third\.weight: its optimizer got no gradient"):
        fit((gan(WithOptimizer, log_interval=8), data), 4)


def test_devices_do_not_train_a_further_network_each_by_itself() -> None:
    strategy = DDPPerNetwork()
    strategy._lightning_module = gan(Third)
    with pytest.raises(UserError, match=r"third: its gradients are not exchanged between devices"):
        strategy.configure_ddp()
