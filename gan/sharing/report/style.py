"""The style sheet and the script of a report. Both are complete: nothing is loaded from elsewhere."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --paper: #faf8f4; --card: #fffefb; --ink: #1f1b16; --soft: #6b6358; --line: #e4ddd1;
  --accent: #b4460f; --shade: #f3eee5; --c0: #b4460f; --c1: #1f6f8b; --c2: #5a7d2a; --c3: #8a4d9e; --c4: #b98a00;
  --c5: #c2447a; --c6: #3d5bb5; --c7: #6f6a61; --good: #3f7d3a; --bad: #b3261e;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
@media (prefers-color-scheme: dark) { :root { --paper: #171410; --card: #1f1b16; --ink: #ece5da; --soft: #a59b8d;
  --line: #3a342b; --accent: #f08a4b; --shade: #27221b; --c0: #f08a4b; --c1: #5fb6d3; --c2: #9dc466; --c3: #c791d9;
  --c4: #e3bd4a; --c5: #ee86b0; --c6: #8fa7f2; --c7: #aaa396; --good: #8cc784; --bad: #f2867e; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); overflow-wrap: anywhere; }
main, header, footer { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 44px; }
h1 { font-size: clamp(1.8rem, 5vw, 2.7rem); line-height: 1.1; letter-spacing: -.02em; margin: .1em 0 .25em; }
h2 { font-size: 1.35rem; letter-spacing: -.01em; margin: 0 0 .15em; }
h3 { font-size: 1rem; margin: 1.8em 0 .5em; }
.kicker { color: var(--accent); font-weight: 600; font-size: .85rem; letter-spacing: .02em; margin: 0; }
.subtitle { color: var(--soft); font-size: 1.05rem; margin: 0 0 1.4em; }
.status { display: inline-block; border: 1px solid currentColor; border-radius: 99px; padding: 0 .7em;
  font-size: .82rem; color: var(--accent); white-space: nowrap; vertical-align: 1px; }
nav { border-block: 1px solid var(--line); margin: 30px 0 0; padding: 9px 0; font-size: .9rem; display: flex;
  flex-wrap: wrap; gap: 2px 20px; }
nav a { color: var(--soft); text-decoration: none; } nav a:hover { color: var(--accent); }
section { padding: 44px 0 0; }
section + section { border-top: 1px solid var(--line); margin-top: 44px; }
.lead { color: var(--soft); margin: 0 0 1.3em; max-width: 72ch; }
.note, .protocol { color: var(--soft); font-size: .88rem; max-width: 90ch; }
.note { border-left: 3px solid var(--accent); padding-left: .8em; }
.tiles { display: flex; flex-wrap: wrap; gap: 1px;
  background: var(--line);
  border: 1px solid var(--line); border-radius: 10px; overflow: hidden; margin: 0; }
.tiles > div { background: var(--card); padding: 14px 16px; display: flex; flex-direction: column; flex: 1 1 150px; }
.tiles dt { color: var(--soft); font-size: .82rem; order: 2; }
.tiles dd { margin: 0; font-size: 1.45rem; font-weight: 600; letter-spacing: -.01em; line-height: 1.25;
  font-variant-numeric: tabular-nums; }
.tiles dd.words { font-size: .86rem; line-height: 1.4; padding: .2em 0; }
.tiles small { font-size: .78rem; font-weight: 400; color: var(--soft); letter-spacing: 0; }
img { display: block; max-width: 100%; height: auto; border-radius: 8px; border: 1px solid var(--line);
  background: repeating-conic-gradient(#ddd 0 25%, #bbb 0 50%) 0 0 / 16px 16px; }
img.pixels { image-rendering: pixelated; }
figure { margin: 0; } figcaption { font-size: .88rem; color: var(--soft); margin: 0 0 6px; }
.sheets { display: grid; grid-template-columns: minmax(0, 1fr) minmax(0, 1fr); gap: 28px; align-items: start; }
.sheets.broad { grid-template-columns: minmax(0, 8fr) minmax(0, 5fr); }
.sheets img, .grids img { width: 100%; }
.sheets h3 { margin-top: 0; }
.copies img { width: 100%; max-width: 760px; }
.film { display: flex; gap: 14px; overflow-x: auto; padding-bottom: 10px; }
.film figure { flex: 0 0 62%; } .film figure:only-child { flex-basis: 100%; }
.film.sliding { display: block; overflow: visible; padding: 0; } .film.sliding figure { display: none; }
.film.sliding figure.on { display: block; }
.slider { display: flex; gap: 12px; align-items: center; margin-top: 10px; }
.slider input { flex: 1; accent-color: var(--accent); min-width: 0; }
.slider button { font: inherit; font-size: .88rem; color: var(--ink); background: var(--card); border-radius: 7px;
  border: 1px solid var(--line); padding: 4px 0; width: 4.4em; cursor: pointer; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); gap: 26px 24px; }
.charts.large { grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); }
.chart figcaption { color: var(--ink); font-weight: 600; } .chart small { font-weight: 400; color: var(--soft); }
.charts > dl { display: block; }
.chart > svg { width: 100%; height: auto; display: block; }
.empty { color: var(--soft); font-size: .88rem; }
svg text { font-size: 12px; fill: var(--soft); } svg .end { text-anchor: end; } svg .mid { text-anchor: middle; }
svg .name { fill: var(--ink); font-weight: 600; }
svg .halo { paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round; fill: var(--ink); }
.grid { stroke: var(--line); } .axis { stroke: var(--soft); } .line { fill: none; stroke-width: 2; }
.floor { stroke: var(--good); stroke-dasharray: 5 4; } svg .floor-name { fill: var(--good); font-size: 11px; }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); } .c2 { stroke: var(--c2); } .c3 { stroke: var(--c3); }
.c4 { stroke: var(--c4); } .c5 { stroke: var(--c5); } .c6 { stroke: var(--c6); } .c7 { stroke: var(--c7); }
.dot { fill: var(--paper); stroke-width: 2; }
.d1 { stroke-dasharray: 7 4; } .d2 { stroke-dasharray: 2 3; } .d3 { stroke-dasharray: 8 3 2 3; }
.key { list-style: none; padding: 0; margin: 4px 0 14px; display: flex; flex-wrap: wrap; gap: 2px 16px;
  font-size: .86rem; }
.swatch { width: 18px; height: 10px; margin-right: 6px; }
.run { fill: none; stroke-width: 1.8; opacity: .85; } .run:hover { stroke-width: 4; opacity: 1; }
.r0 { stroke: var(--accent); stroke-width: 3.5; opacity: 1; }
.r1 { stroke: color-mix(in srgb, var(--accent) 65%, var(--c7)); }
.r2 { stroke: color-mix(in srgb, var(--accent) 35%, var(--c7)); } .r3, .r4 { stroke: var(--c7); }
.r4 { opacity: .55; } .rx { stroke: var(--c7); stroke-dasharray: 3 4; opacity: .6; }
.parallel svg { display: block; margin: 0 auto; }
.axes-of { display: flex; flex-wrap: wrap; gap: 4px 18px; border: 0; padding: 0; margin: 0 0 18px; font-size: .9rem; }
.axes-of label { display: inline-flex; gap: 6px; align-items: center; } .axes-of input { accent-color: var(--accent); }
body:has(#over-images:checked) .by-minutes, body:has(#over-minutes:checked) .by-images { display: none; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 7px 14px 7px 0; border-bottom: 1px solid var(--line); vertical-align: baseline;
  overflow-wrap: normal; }
tbody th { font-weight: 400; min-width: 9em; } thead th { font-size: .82rem; color: var(--soft); font-weight: 600; }
th small { color: var(--soft); font-weight: 400; } thead small { display: block; white-space: nowrap; }
table .n { text-align: right; padding: 7px 0 7px 18px; }
dl { margin: 0; display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); gap: 0 32px; }
dl:not(.tiles) > div { display: flex; justify-content: space-between; gap: 16px; padding: 6px 0;
  border-bottom: 1px solid var(--line); font-size: .92rem; }
dl:not(.tiles) dt { color: var(--soft); flex: none; max-width: 50%; }
dl:not(.tiles) dd { margin: 0; text-align: right; }
code, pre { font: .86rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
code { background: var(--shade); border-radius: 5px; padding: .1em .35em; }
pre { background: var(--shade); border-radius: 10px; padding: 14px 16px; overflow-x: auto; margin: 0 0 14px; }
pre.command { white-space: pre-wrap; } pre code { background: none; padding: 0; }
details { margin: 14px 0; } summary { cursor: pointer; color: var(--accent); font-size: .92rem; }
details > pre { margin-top: 10px; max-height: 480px; overflow: auto; }
.findings { padding: 0; list-style: none; margin: 0 0 22px; }
.findings li { padding: 10px 14px; border-left: 3px solid var(--bad); background: var(--shade);
  border-radius: 0 8px 8px 0;
  margin-bottom: 8px; } .findings li.good { border-color: var(--good); }
.findings small { display: block; color: var(--soft); }
.steps { padding-left: 0; list-style: none; display: grid; gap: 12px; margin: 0; }
.steps span { display: block; color: var(--soft); font-size: .9rem; } .steps code { white-space: pre-wrap; }
.grids { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr)); gap: 26px 24px; }
.grids figcaption { min-height: 2.9em; } .grids strong { color: var(--ink); }
footer { color: var(--soft); font-size: .84rem; padding: 40px 24px 50px; }
@media (max-width: 760px) { .sheets, .sheets.broad { grid-template-columns: minmax(0, 1fr); gap: 24px; }
  main, header, footer { padding-left: 16px; padding-right: 16px; } header { padding-top: 26px; }
  section { padding-top: 32px; } section + section { margin-top: 32px; }
  .film figure:not(:only-child) { flex-basis: 86%; }
  .grids figcaption { min-height: 0; } }
@media print { :root { --paper: #fff; --card: #fff; color-scheme: light; font-size: 11px; } nav, .slider, .axes-of
  { display: none; } .film, .film.sliding { display: grid; grid-template-columns: repeat(4, 1fr); gap: 8px; }
  .film.sliding figure { display: block; } section { padding-top: 18px; break-inside: auto; } figure, tr, dl > div
  { break-inside: avoid; } h2, h3 { break-after: avoid; } section + section { margin-top: 18px; }
  details > pre { max-height: none; } }
"""

# Turns the strip of grids into one grid with a slider. Without it, the strip scrolls sideways.
SCRIPT = """
for (const film of document.querySelectorAll('.film')) {
  const shots = [...film.children];
  if (shots.length < 2) continue;
  const bar = document.createElement('div'), range = document.createElement('input');
  const button = document.createElement('button');
  bar.className = 'slider'; range.type = 'range'; range.min = 0; range.max = shots.length - 1;
  range.setAttribute('aria-label', 'grid'); button.type = 'button'; button.textContent = 'Play';
  let timer = 0;
  const show = () => shots.forEach((shot, n) => shot.classList.toggle('on', n === Number(range.value)));
  const stop = () => { clearInterval(timer); timer = 0; button.textContent = 'Play'; };
  range.addEventListener('input', () => { stop(); show(); });
  button.addEventListener('click', () => {
    if (timer) { stop(); return; }
    if (Number(range.value) === shots.length - 1) range.value = 0;
    button.textContent = 'Stop'; show();
    timer = setInterval(() => {
      if (Number(range.value) === shots.length - 1) { stop(); return; }
      range.value = Number(range.value) + 1; show();
    }, 400);
  });
  range.value = shots.length - 1;
  film.classList.add('sliding'); bar.append(button, range); film.after(bar); show();
}
"""


def scoped(name: str) -> str:
    """Return the style sheet for what is in an element of a class, in a page that has its own style sheet."""
    inside = STYLE.replace(":root", "&").replace("body:has", "&:has")
    return f".{name} {{ {inside} {INSIDE} }}"


INSIDE = """section { padding-top: 20px; } th, td { border-style: none none solid !important; }
.by-minutes { display: none; } &:has(#over-minutes:checked) .by-minutes { display: block; }"""
