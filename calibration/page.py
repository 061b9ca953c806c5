"""HTML that needs nothing beside itself: elements that escape their text, images as data, one style sheet."""

import base64
from collections.abc import Sequence
from html import escape

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: #1c1c1c; font: 16px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 20px 56px; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .7rem; padding-bottom: .3rem; border-bottom: 1px solid #ddd; }
h3 { font-size: 1rem; margin: 0 0 .3rem; }
p { margin: .5rem 0; max-width: 80ch; overflow-wrap: anywhere; }
.faint, figcaption { color: #555; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .9rem .28rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #eee; }
td { white-space: nowrap; } td.text { white-space: normal; overflow-wrap: anywhere; }
th { font-weight: 500; }
tbody th { min-width: 12.5em; position: sticky; left: 0; background: #fff; }
thead th { border-bottom: 2px solid #bbb; font-weight: 700; white-space: nowrap; }
tr.group th { padding-top: 1rem; font-weight: 700; border-bottom: 1px solid #bbb; }
td small { display: block; color: #555; font-size: .8rem; }
.swatch { display: inline-block; width: .75em; height: .75em; border-radius: 50%; margin-right: .4em; }
.lead { display: flex; flex-wrap: wrap; gap: 1.2rem 3rem; align-items: flex-start; }
.lead > .scroll { flex: 0 1 auto; max-width: 100%; } .lead > .side { flex: 1 1 26rem; min-width: 0; }
.side { columns: 26rem; column-gap: 2.4rem; }
.figures { columns: 2; column-gap: 2.4rem; }
figure { margin: 0 0 2rem; break-inside: avoid; } img { display: block; width: 100%; height: auto; }
figcaption { font-size: .88rem; line-height: 1.45; margin-top: .4rem; }
dt { font-weight: 600; margin-top: .7rem; } dd { margin: 0; max-width: 80ch; }
details { margin: .5rem 0; } summary { cursor: pointer; font-weight: 500; padding: .2rem 0; }
pre { background: #f6f6f6; padding: .8rem 1rem; margin: .4rem 0; overflow-x: auto; font-size: .82rem; }
@media (max-width: 760px) {
  main { padding: 18px 16px 40px; } .figures { columns: 1; }
  table { font-size: .88rem; } th, td { padding-right: .6rem; } tbody th { min-width: 7.5em; }
  .side { columns: 1; }
}
"""


class Html(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


def element(name: str, *children: str, **attributes: str) -> Html:
    """<name attributes>children</name>; what is not Html is escaped. A trailing _ of an attribute is dropped."""
    shown = "".join(f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{shown}>{_join(children)}</{name}>")


def table(head: Sequence[str], rows: Sequence[Html]) -> Html:
    """A table that scrolls sideways where the page is narrower. rows: tr elements."""
    heading = element("tr", *(element("th", cell, scope="col") for cell in head))
    return element(
        "div", element("table", element("thead", heading), element("tbody", *rows)), class_="scroll"
    )


def row(label: str, cells: Sequence[str], kind: str = "") -> Html:
    """A labelled line of a table. kind: class of its cells."""
    attributes = {"class_": kind} if kind else {}
    return element(
        "tr", element("th", label, scope="row"), *(element("td", cell, **attributes) for cell in cells)
    )


def details(summary: str, *children: str) -> Html:
    """Closed at first; opens on a click, without a script."""
    return element("details", element("summary", summary), *children)


def figure(heading: str, caption: str, png: bytes) -> Html:
    """An image that carries its data, with its words."""
    data = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    image = Html(f'<img alt="{escape(heading)}" src="{data}">')
    return element("figure", element("h3", heading), image, element("figcaption", caption))


def page(title: str, *children: str) -> str:
    """A whole document."""
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
    )
    body = element("main", *children)
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>{body}</body></html>\n'


def _join(children: Sequence[str]) -> str:
    return "\n".join(child if isinstance(child, Html) else escape(child) for child in children)
