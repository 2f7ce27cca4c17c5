"""A strict check of a page that must be complete: well-formed, and nothing in it is loaded from elsewhere."""

import re
from html.parser import HTMLParser

VOID = {"br", "hr", "img", "input", "link", "meta"}
LOADING = {"src", "href", "srcset", "data", "action", "formaction", "poster", "background", "xlink:href", "ping"}


class Page(HTMLParser):
    """Parses a page and collects its faults, ids, links within the page and text."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.scripts: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        assert source.startswith("<!DOCTYPE html>")
        self.feed(source)
        self.close()
        self.faults += [f"<{name}> is not closed" for name in self.open]
        self.faults += [f"id {name} is not unique" for name in set(self.ids) if self.ids.count(name) > 1]
        self.faults += [f"#{name} leads nowhere" for name in self.targets if name not in self.ids]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        self.tags.append(tag)
        if len(names) != len(set(names)):
            self.faults.append(f"<{tag}> has an attribute twice: {names}")
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name.startswith("on") or name == "style":
                self.faults.append(f"<{tag}> has {name}")
            if name in LOADING and (value or "").startswith("#"):
                self.targets.append((value or "")[1:])
            elif name in LOADING and not re.fullmatch(
                r"data:image/(webp|svg\+xml);base64,[A-Za-z0-9+/=]+", value or ""
            ):
                self.faults.append(f"<{tag} {name}={(value or '')[:60]}>")
        if tag in ("link", "iframe", "object", "embed", "base", "form"):
            self.faults.append(f"<{tag}>")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.faults.append(f"</{tag}> closes {self.open[-1:]}")
        else:
            self.open.pop()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.faults.append(f"<{tag}/>")

    def handle_data(self, data: str) -> None:
        where = self.open[-1] if self.open else ""
        if where == "script":
            self.scripts.append(data)
        elif where == "style":
            if re.search(r"@import|url\(|@font-face|expression\(", data):
                self.faults.append("the style sheet loads something")
        else:
            self.text += data
