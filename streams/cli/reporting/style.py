"""How the page looks: light or dark as the reader's system is, readable on a phone, nothing from elsewhere."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root {
  color-scheme: light dark;
  --ground: #fbfbfa; --card: #ffffff; --ink: #1c1f24; --quiet: #5a616c; --line: #dfe2e6; --accent: #2563a8;
  --good: #2e7d4f; --gone: #8a8f98; --warm: 37 99 168;
  --part0: #2563a8; --part1: #d9822b; --part2: #2e7d4f; --part3: #a4478c; --part4: #8a6d3b; --part5: #c0392b;
  --part6: #3aa6a0; --part7: #8a8f98;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171b; --card: #1c2026; --ink: #e8eaed; --quiet: #a3abb6; --line: #333a43; --accent: #6ea8e6;
    --good: #66bf8a; --gone: #7d858f; --warm: 110 168 230;
    --part0: #6ea8e6; --part1: #f0a860; --part2: #66bf8a; --part3: #d68cc2; --part4: #c8ab78; --part5: #ee8277;
    --part6: #6fd0ca; --part7: #7d858f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 70rem; padding: 1.25rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
h1 { margin: 0; font-size: 1.6rem; }
h2 { margin: 0 0 .5rem; font-size: 1.25rem; }
h3 { margin: 1.25rem 0 .25rem; font-size: 1rem; }
p { margin: .25rem 0; }
a { color: var(--accent); }
nav { margin: .75rem 0; display: flex; flex-wrap: wrap; gap: .25rem .9rem; font-size: .9rem; }
section {
  margin: 1.25rem 0; padding: 1rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
}
.quiet { color: var(--quiet); font-size: .9rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: .75rem; margin: .5rem 0; }
.figure { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .75rem; }
.figure b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
details { margin-top: .25rem; font-size: .85rem; color: var(--quiet); }
summary { cursor: pointer; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--accent); }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
td, th[scope=row] { overflow-wrap: break-word; max-width: 24rem; }
th { color: var(--quiet); font-weight: 600; }
th[scope=row] { color: var(--ink); font-weight: 400; }
td.number, th.number { text-align: right; white-space: nowrap; }
svg { display: block; width: 100%; min-width: 38rem; max-width: 60rem; height: auto; margin: .25rem 0; }
svg.flow { max-width: none; }
svg text { fill: var(--ink); font-size: 13px; }
svg .value, svg .layer { fill: var(--quiet); }
svg .label { font-size: 11px; paint-order: stroke; stroke: var(--card); stroke-width: 3px; }
.axis { stroke: var(--line); }
.bar { fill: var(--accent); }
.band { fill-opacity: .25; }
.band:hover { fill-opacity: .55; }
.on { fill: var(--accent); } .ordered { fill: var(--good); } .lost { fill: var(--gone); }
.part0 { fill: var(--part0); } .part1 { fill: var(--part1); } .part2 { fill: var(--part2); }
.part3 { fill: var(--part3); } .part4 { fill: var(--part4); } .part5 { fill: var(--part5); }
.part6 { fill: var(--part6); } .part7 { fill: var(--part7); }
@media print { body { max-width: none; } tr, svg, .figure { break-inside: avoid; } nav { display: none; } }
"""
