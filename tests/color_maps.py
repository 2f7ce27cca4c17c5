"""A color map for tests, with a table and a vignette."""

from typing import Any

import torch

from gan.networks.closed_form.color_map import NUM_BASES, POWERS, TABLE_SIZE, ColorMap, identity_table

SCALE, SHIFT = 0.5, 0.1  # of colors in [-1, 1]
VIGNETTE = torch.tensor([-0.3, -0.2, 0.1])  # red, green and blue in the corners, in [0, 1]


def vignette_map() -> ColorMap:
    """Return the map SCALE x + SHIFT, corrected by VIGNETTE r^2."""
    position = torch.zeros(3, POWERS, NUM_BASES)
    position[:, 0, 1] = VIGNETTE
    return ColorMap(SCALE * identity_table(TABLE_SIZE) + SHIFT, position)


def give_start(network: Any) -> Any:
    """Let a translator start from `vignette_map`, if it has a color map, and return it."""
    if getattr(network, "start", None) is not None:
        network.start.load_state_dict(vignette_map().state_dict())
    return network
