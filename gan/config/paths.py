"""The folders of configurations: ours, and the user's own, which --config-dir names. No torch."""

from __future__ import annotations

from pathlib import Path

from gan.utils.errors import UserError

_PACKAGE = Path(__file__).resolve().parents[1]
# In an installed package gan/conf; in a checkout the folder beside gan/.
CONF = next((folder for folder in (_PACKAGE / "conf", _PACKAGE.parent / "conf") if folder.is_dir()), _PACKAGE / "conf")
_own: list[Path] = []


def use(*added: Path) -> None:
    """Set the user's own folders of configurations. They are trusted, because they were typed on this command line."""
    for folder in added:
        if not folder.is_dir():
            raise UserError(f"--config-dir {folder}: no such folder")
        ours = sorted(path.relative_to(CONF) for path in CONF.rglob("*.yaml"))
        if same := [path for path in ours if (folder / path).is_file()]:
            name = same[0].as_posix()
            raise UserError(f"--config-dir {folder}: {name} has the name of a file of retro-gan; rename it")
    _own[:] = [folder.resolve() for folder in added]


def own() -> list[Path]:
    """Return the user's own folders of configurations: one, or none without --config-dir."""
    return list(_own)


def folders() -> list[Path]:
    return [CONF, *_own]


def groups() -> list[str]:
    return sorted({path.parent.name for folder in folders() for path in folder.glob("*/*.yaml")})


def group_files(group: str) -> list[Path]:
    files = [path for folder in folders() for path in (folder / group).glob("*.yaml")]
    return sorted(files, key=lambda path: path.stem)


def group_names(group: str) -> list[str]:
    return [path.stem for path in group_files(group)]
