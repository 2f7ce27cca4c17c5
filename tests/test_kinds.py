"""The kind of a model: by its class, also of a user's subclass, and of older configurations."""

from gan import kinds
from gan.config.compose import compose
from gan.training.module import GAN
from gan.training.translation import CycleGAN, Pix2Pix


class OwnGAN(GAN):
    pass


class OwnPix2Pix(Pix2Pix):
    pass


class OwnCycleGAN(CycleGAN):
    pass


def test_a_subclass_of_a_user_has_the_kind_of_its_base() -> None:
    assert kinds.of_class(f"{__name__}.OwnGAN") == kinds.GENERATOR
    assert kinds.of_class(f"{__name__}.OwnPix2Pix") == kinds.PAIRED
    assert kinds.of_class(f"{__name__}.OwnCycleGAN") == kinds.TRANSLATOR
    assert kinds.of_class("no.such.Class") == kinds.GENERATOR


def test_a_configuration_has_its_kind() -> None:
    cfg = compose(["model=cut"])
    config = {"kind": cfg.kind}
    assert config["kind"] == "translator" and kinds.of(config) == kinds.TRANSLATOR
    older = {"model": {"_target_": "gan.training.translation.CycleGAN"}}
    assert kinds.of(older) == kinds.TRANSLATOR and kinds.start_counts(older)
    assert not kinds.start_counts({"kind": "generator"})
    assert kinds.start_counts({"kind": "generator", "init_from": "zoo:start64"})
