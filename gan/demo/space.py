"""A Space of the Hugging Face Hub: a shared model whose folder also has app.py, which runs `gan demo`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import yaml

from gan.models import card
from gan.models.shared_model import CARD, LIBRARY

# See https://huggingface.co/docs/hub/spaces-config-reference. The version of Gradio is the oldest one of the extra.
FRONT = {"sdk": "gradio", "sdk_version": "6.31.0", "python_version": "3.12", "app_file": "app.py"}
KEPT = ("license", "license_name", "license_link", "datasets")  # metadata that models and Spaces have
APP = '''"""Show the model of this folder on a page."""

import os
import sys
from pathlib import Path

from gan.cli import main

if __name__ == "__main__":
    everyone = ["--host", "0.0.0.0", "--port", "7860"] if "SPACE_ID" in os.environ else []
    sys.exit(main(["demo", str(Path(__file__).resolve().parent), *everyone]))
'''
CPU = "--extra-index-url https://download.pytorch.org/whl/cpu"  # these wheels are several gigabytes smaller


def with_page(files: Mapping[str, bytes], name: str, folder: Path) -> dict[str, bytes]:
    """Return the files of a shared model as those of a Space.

    Args:
        name: title of the Space.
        folder: where they will be written; its app.py and requirements.txt are kept.
    """
    front, text = card.split(files[CARD].decode())
    kept = {key: front[key] for key in KEPT if key in front}
    front = {"title": name, **FRONT, "tags": [LIBRARY, *front["tags"]], **kept}
    readme = f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n\n{text}"
    code = {"app.py": APP, "requirements.txt": f"{CPU}\n{requirement()}\n"}
    added = {CARD: readme, **{path: text for path, text in code.items() if not (folder / path).exists()}}
    return {**files, **{path: text.encode("utf-8", "backslashreplace") for path, text in added.items()}}


def requirement() -> str:
    """Return what installs this version of the package: its commit if it was installed from git."""
    try:
        installed = distribution(LIBRARY)
    except PackageNotFoundError:  # a checkout that is not installed
        return f"{LIBRARY}[demo]"
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    commit = origin.get("vcs_info", {}).get("commit_id")
    return f"{LIBRARY}[demo]" + (f" @ git+{origin['url']}@{commit}" if commit else f"=={installed.version}")
