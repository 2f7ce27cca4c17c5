"""Print the looks with their parameters."""

from __future__ import annotations

from gan.data.styles.filter import parameters_of
from gan.data.styles.registry import FILTERS, STYLES
from gan.data.styles.settings import shown


def listing() -> str:
    """Return a line for each look, and under it a line for each of its parameters."""
    lines = []
    for name, style in STYLES.items():
        lines.append(f"{name}: {style.about}")
        for each in style.filters:
            for parameter, about in parameters_of(FILTERS[each]).items():
                limits = f"{shown(about.low)} to {shown(about.high)}"
                lines.append(f"    {parameter}={shown(about.default)}  {about.about} ({limits})")
    return "\n".join([*lines, f"filters, which can be combined, as in look:fade,grain: {', '.join(FILTERS)}"])
