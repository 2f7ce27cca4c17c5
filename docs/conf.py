"""Sphinx configuration: `sphinx-build docs site`."""

import functools
import re
import shutil
import sys
from pathlib import Path

from docutils import nodes
from docutils.frontend import get_default_settings
from docutils.parsers.rst import Parser, roles
from docutils.utils import new_document

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

project = "retro-gan"
author = "The retro-gan authors"
copyright = f"2026, {author}"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.apidoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "retro-gan"
html_copy_source = False
html_show_sourcelink = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["ref.python"]  # a type hint whose name two modules define
nb_execution_mode = "off"  # the tests execute the notebooks; the site shows the outputs they contain

apidoc_modules = [
    {
        "path": "../gan",
        "destination": "api",
        "separate_modules": False,
        "module_first": True,
        "exclude_patterns": [f"../gan/{name}" for name in ("cli.py", "commands", "common", "run")],
        "automodule_options": {"members"},
    }
]
exclude_patterns = ["api/modules.rst"]
default_role = "code"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_use_type_comments = False  # there are none, and the search takes a tenth of the time
napoleon_use_ivar = True


def escape(app, what, name, obj, options, lines):
    """Keep formulas and plurals such as `x`s: docstrings are text with backticks, not reStructuredText."""
    parts = "\n".join(lines).split("`")
    for i in range(0, len(parts), 2):  # outside backticks
        text = re.sub(r"([*|]|(?<=\w)_(?!\w))", r"\\\1", parts[i])
        text = re.sub(r"^(?=\w)", r"\\ ", text) if i else text
        parts[i] = re.sub(r"(?<=\w)$", r"\\ ", text) if i < len(parts) - 1 else text
    lines[:] = "`".join(parts).split("\n")


@functools.cache
def settings(app):
    found = get_default_settings(Parser)
    found.report_level, found.warning_stream, found.env = 2, "", app.env
    return found


def keep_layout(app, what, name, obj, options, lines):
    """Show a docstring with a layout of its own, such as a table, as it is."""
    text = "\n".join(lines)
    tree = new_document(name, settings(app))
    default = roles._roles.get("")
    Parser().parse(text, tree)  # and forget the default role
    if default:
        roles._roles[""] = default
    if any(tree.findall(nodes.system_message)):
        lines[:] = ["::", "", *(f"    {line}" for line in re.sub(r"\\([*|_ ])", r"\1", text).split("\n")), ""]


def link_notebooks(app, name, source):
    """Link to the copies of the notebooks on the site. The pages link to the originals, for readers on GitHub."""
    source[0] = source[0].replace("](../notebooks/", "](notebooks/")


def setup(app):
    app.connect("source-read", link_notebooks)
    app.connect("autodoc-process-docstring", escape, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", keep_layout, priority=600)  # after it


shutil.copytree(ROOT / "notebooks", HERE / "notebooks", dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
