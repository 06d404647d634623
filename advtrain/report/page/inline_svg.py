"""matplotlib's SVG made fit for a page: small, in the theme's colours, two halves, linked."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from advtrain.report.page.svg_paths import FINE, is_line, rounded, short, steps, widened

_XLINK = "{http://www.w3.org/1999/xlink}href"
_ID = re.compile(r"url\(#([^)]*)\)")
_FONT = re.compile(r"font-family:[^;]*;?\s*|(?<=font: )([^;']*?px)[^;]*")
_HEX = re.compile(r"#[0-9a-f]{6}")
_HALF = 420  # points; what is wider needs the page's whole width
_SCALE = 1.5  # a point in pixels, where there is room
_LINKED = "cell-"  # the ids of what stands for a cell


@dataclass
class Styles:
    """Every style once, as a class: figures repeat few of them very often."""

    colours: Mapping[str, str]  # hex to the name of a variable
    names: dict[str, str] = field(default_factory=dict)

    def name(self, style: str) -> str:
        """The class that stands for a style."""
        text = _FONT.sub(lambda found: f"{found[1]} var(--sans)" if found[1] else "", style)
        return self.names.setdefault(text.strip().rstrip(";"), f"s{len(self.names)}")

    def coloured(self, text: str) -> str:
        """With variables for the theme's colours."""
        return _HEX.sub(lambda hex: f"var(--{self.colours[hex[0]]})"
                        if hex[0] in self.colours else hex[0], text)  # fmt: skip

    @property
    def css(self) -> str:
        """A rule for each."""
        return "".join(f".{name}{{{self.coloured(style)}}}" for style, name in self.names.items())


def inline(
    prefix: str, svg: str, alt: str, styles: Styles, links: Mapping[str, str], *, halves: bool
) -> Markup:
    """The figure as SVG in HTML; `halves` makes two, to stand side by side or in a column.

    Ids begin with `prefix`, the figure's own on a page. `links` are ids of cells with a line about
    each: what stands for them (gid `cell-<id>`) leads to their section.
    """
    root = ET.fromstring(svg)
    width, height = (float(n) for n in root.attrib["viewBox"].split()[2:])
    _clean(root, prefix, styles)
    linked = _link(root, links)
    role = Markup('role="group" class="linked"' if linked else 'role="img"')
    label = Markup('{} aria-label="{}"').format(role, alt)
    body = Markup("").join(_written(child) for child in root)
    if not halves:
        broad = width > _HALF  # scrolls in its box before its text is too small to read
        least = Markup(' style="min-width:{}px"').format(short(width)) if broad else ""
        return Markup(
            '<div class="drawing{}"><svg viewBox="0 0 {} {}" width="{:.0f}"{} {}>{}</svg></div>'
        ).format(" broad" if broad else "", short(width), short(height), width * _SCALE, least,
                 label, body)  # fmt: skip
    half, tall, whole = short(width / 2), short(height), f"{prefix}-all"
    left = Markup('<svg viewBox="0 0 {0} {1}" width="{2:.0f}" {3}><g id="{4}">{5}</g></svg>')
    right = Markup(
        '<svg viewBox="{0} 0 {0} {1}" width="{2:.0f}" aria-hidden="true"><use href="#{3}"/></svg>'
    )
    shown = width / 2 * _SCALE
    return Markup('<div class="drawing halves">{}{}</div>').format(
        left.format(half, tall, shown, label, whole, body), right.format(half, tall, shown, whole)
    )


def _clean(root: ET.Element, prefix: str, styles: Styles) -> None:
    """Leave out what a page has no use for, and shorten the rest."""
    ids = {id: f"{prefix}-{i}" for i, id in enumerate(sorted(_referenced(root)))}
    lines = {e.get("id") for e in root.iter() if is_line(e.get("d", ""))} - {None}
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.text = (element.text or "").strip() if element.tag != "text" else element.text
        element.tail = ""
        attributes = dict(element.attrib)
        element.attrib.clear()
        target = attributes.pop(_XLINK, "")
        if target:
            element.set("href", f"#{ids[target[1:]]}" if target[:1] == "#" else target)
        line = is_line(attributes.get("d", ""))
        if line:
            element.set("d", steps(attributes.pop("d")))
            element.set("transform", f"scale({1 / FINE:g})")
        if style := attributes.pop("style", ""):
            wide = line or target[1:] in lines
            element.set("class", styles.name(widened(style) if wide else style))
        _attributes(element, attributes, ids)
    for parent in list(root.iter()):
        parent[:] = list(_needed(parent))


def _referenced(root: ET.Element) -> set[str]:
    """The ids that something in the figure points to."""
    found = {element.get(_XLINK, "#")[1:] for element in root.iter()}
    return found | {id for e in root.iter() for v in e.attrib.values() for id in _ID.findall(v)}


def _attributes(element: ET.Element, found: Mapping[str, str], ids: Mapping[str, str]) -> None:
    """The other attributes, with short ids and numbers."""
    for key, value in found.items():
        if key == "id":
            if value in ids or value.startswith(_LINKED):
                element.set("id", ids.get(value, value))
        elif not (key == "transform" and value.startswith("rotate(-0 ")):
            text = _ID.sub(lambda id: f"url(#{ids[id[1]]})", value)
            element.set(key, " ".join(rounded(text).split()) if key == "d" else rounded(text))


def _needed(parent: ET.Element) -> Iterator[ET.Element]:
    """The children, with those of groups that say nothing in the groups' place."""
    for child in parent:
        if child.tag == "g" and not child.attrib:
            yield from _needed(child)
        elif child.tag == "path" and "transform" in child.attrib and "clip-path" in child.attrib:
            outer = ET.Element("g", {"clip-path": child.attrib.pop("clip-path")})
            outer.append(child)  # so that what it is cut by keeps its own scale
            yield outer
        elif child.tag not in ("metadata", "style") and (len(child) or child.tag != "defs"):
            yield child


def _link(root: ET.Element, links: Mapping[str, str]) -> bool:
    """Wrap what stands for a cell in a link to its section; whether there is any."""
    places = [(parent, i, child) for parent in root.iter() for i, child in enumerate(parent)
              if child.get("id", "").startswith(_LINKED)]  # fmt: skip
    for parent, i, child in places:
        cell = child.attrib.pop("id").removeprefix(_LINKED)
        if cell in links:
            link = ET.Element("a", {"href": f"#cell-{cell}", "aria-label": links[cell]})
            ET.SubElement(link, "title").text = links[cell]
            link.append(child)
            parent[i] = link
    return bool(places)


def _written(element: ET.Element) -> Markup:
    """As HTML has it: without namespaces."""
    attributes = "".join(f' {key}="{escape(value)}"' for key, value in element.attrib.items())
    inside = "".join(_written(child) for child in element)
    text = escape(element.text or "")
    if not (inside or text):
        return Markup(f"<{element.tag}{attributes}/>")
    return Markup(f"<{element.tag}{attributes}>{text}{inside}</{element.tag}>")
