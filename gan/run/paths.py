"""The folder of the configuration."""

from pathlib import Path

CONF = Path(__file__).resolve().parents[2] / "conf"
