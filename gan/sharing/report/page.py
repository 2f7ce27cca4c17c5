"""The page around the sections: head, style sheet, script, header and footer."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Sequence

from gan.sharing.report.markup import Content, Html, join, tag
from gan.sharing.report.style import SCRIPT, STYLE

GENERATOR = "gan report"  # in the head, so that a later report may replace this one
MARK = f'<meta name="generator" content="{GENERATOR}">'
DESCRIPTION = "Report of training runs. The page is complete: it loads nothing from the network."
MAX_BYTES = 5_000_000  # of a page


def page(title: str, header: Content, sections: Sequence[Html]) -> bytes:
    """Return a complete page. Its policy lets browsers run only its own script and load nothing from elsewhere.

    Args:
        header: the content above the links to the sections.
        sections: `section` elements, whose ids become links.
    """
    policy = "; ".join(("default-src 'none'", "img-src data:", f"style-src '{sha256(STYLE)}'",
                        f"script-src '{sha256(SCRIPT)}'", "base-uri 'none'", "form-action 'none'"))  # fmt: skip
    head = tag("head", tag("meta", charset="utf-8"), Html(MARK),
               tag("meta", http_equiv="Content-Security-Policy", content=policy),
               tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
               tag("meta", name="description", content=DESCRIPTION),
               tag("title", title), tag("style", Html(STYLE)))  # fmt: skip
    now = time.strftime("%Y-%m-%d %H:%M", time.localtime())
    footer = tag("footer", f"Made by gan report on {now}. This file is complete and loads nothing from the network.")
    links = tag("nav", [link(each) for each in sections], aria_label="sections")
    body = tag("body", tag("header", header, links), tag("main", *sections), footer, tag("script", Html(SCRIPT)))
    return join(Html("<!DOCTYPE html>\n"), tag("html", head, body, lang="en"), Html("\n")).encode()


def sha256(source: str) -> str:
    """Return the name of an inline style sheet or script in a Content-Security-Policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def link(section: Html) -> Html:
    """Return the link to a section, made by `markup.section`."""
    name = section.partition('id="')[2].partition('"')[0]
    title = section.partition("<h2>")[2].partition("</h2>")[0]
    return tag("a", Html(title), href=Html(f"#{name}"))


def is_report(beginning: bytes) -> bool:
    """Return whether the first bytes of a file are those of a report."""
    return MARK.encode() in beginning


def axis_choice() -> Html:
    """Return the choice between images and minutes, which works without a script."""
    return tag("fieldset", [
        tag("label", tag("input", type="radio", name="over", id=f"over-{name}", checked=name == "images"), title)
        for name, title in (("images", "over images seen"), ("minutes", "over minutes of training"))
    ], class_="axes-of")  # fmt: skip
