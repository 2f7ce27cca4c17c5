"""What a reader of published weights returns, and how it becomes networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from gan.models.loading import at_most, network_builder
from gan.utils.errors import UserError
from gan.utils.output import one_line


class Unsupported(Exception):
    """A file is of a known kind that is not read. The message names it."""


@dataclass
class Published:
    """Weights that another program wrote, by the names of the networks here.

    Attributes:
        origin: the program.
        size: side of the images in pixels.
        generator, discriminator: `_target_` and options of the networks.
        weights: of each network by its role.
        training: dotted name of the training module.
        images: number of images seen in training; 0 if the file does not tell.
    """

    origin: str
    size: int
    generator: dict[str, Any]
    weights: dict[str, dict[str, Tensor]]
    discriminator: dict[str, Any] | None = None
    training: str = "gan.training.module.GAN"
    images: int = 0

    @property
    def classes(self) -> list[str]:
        """The names of the classes, which are their numbers."""
        return [str(number) for number in range(self.generator.get("classes", 0))]

    @property
    def config(self) -> dict[str, Any]:
        model = {"_target_": self.training, "generator": self.generator, "discriminator": self.discriminator}
        return {"data": {"size": self.size, "channels": self.generator["channels"]}, "model": model}

    def networks(self, path: Path, discriminator: bool = True) -> dict[str, nn.Module]:
        """Return the networks in eval mode by their roles.

        Raises:
            UserError: the weights of the file at the path are those of other networks, or are not finite.
        """
        roles = ["generator", "discriminator"] if self.discriminator and discriminator else ["generator"]
        built = {}
        for role in roles:
            weights = self.weights[role]
            with at_most(sum(value.numel() for value in weights.values())):
                network = network_builder(self.config, role, path)().eval()
            ours = network.state_dict()
            for name in (*ours, *weights):
                if name not in ours or name not in weights or sides(ours[name]) != sides(weights[name]):
                    named = one_line(name[:80])
                    raise UserError(f"{path}: is {self.origin}, but its {role} has another architecture ({named})")
            if not all(bool(value.isfinite().all()) for value in weights.values()):
                raise UserError(f"{path}: the weights of its {role} are not finite")
            network.load_state_dict({name: weights[name].reshape(value.shape) for name, value in ours.items()})
            built[role] = network
        return built


def sides(value: Tensor) -> list[int]:
    """Return the shape of a tensor without dimensions of length 1; the programs differ in these."""
    return [side for side in value.shape if side != 1]


def renamed(weights: dict[str, Tensor], names: dict[str, str]) -> dict[str, Tensor]:
    return {names.get(name, name): value for name, value in weights.items()}
