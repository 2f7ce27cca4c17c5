"""List the images of uploads. This runs in another process, which would take seconds to import torch and Gradio."""

from __future__ import annotations

import os
from pathlib import Path

from gan.common.errors import UserError
from gan.common.output import one_line
from gan.data.sources.files import SUFFIXES, File, find, single
from gan.sharing.demo import limits


def list_files(paths: list[str]) -> list[File] | str:
    """Return the image files of paths, or what is wrong with them."""
    files: list[File] = []
    for path in paths:
        name = one_line(os.path.basename(path))
        if path.lower().endswith(".zip"):
            try:
                files += find([path])
            except UserError as error:
                return str(error).replace(path, name)
        elif os.path.splitext(path)[1].lower() in SUFFIXES:
            files.append(single(Path(path)))
        else:
            return f"{name}: is neither an image nor a zip archive; upload PNG, JPEG, WebP or a zip archive"
        if len(files) > limits.MAX_FILES:
            return f"{len(files):,} images are too many; upload at most {limits.MAX_FILES} at a time"
    if (size := sum(file.stamp[0] for file in files)) > limits.MAX_UNPACKED:
        return f"the images have {size:,} bytes unpacked; the limit is {limits.MAX_UNPACKED:,}; upload fewer images"
    return files
