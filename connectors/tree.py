"""A page of HTML as a tree, for what is found by tag, class and attribute. Pure; no page is too broken for it.

Built on the standard library's parser: tags that are never closed end with what they stand in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from html import escape

from connectors.markup import LenientParser, feed_whole

VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
# A new one of these ends an open one beside it: their end tags may be left out.
ENDS_ITSELF = frozenset({"li", "p", "option", "tr", "td", "th", "dt", "dd"})
DEEPEST = 400  # what is nested deeper lies flat at this depth: no honest page comes near


@dataclass(slots=True, kw_only=True, eq=False)
class Element:
    """A tag with its attributes (names in small letters) and what stands in it."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    def get(self, name: str) -> str:
        return self.attributes.get(name, "")

    @property
    def classes(self) -> Collection[str]:
        return self.get("class").split()

    def walk(self, *, beside: Callable[[Element], bool] = lambda _: False) -> Iterator[Element]:
        """Yield this element and all in it, in the order of the page, without those `beside` the matter."""
        waiting = [self]
        while waiting:
            one = waiting.pop()
            if beside(one):
                continue
            yield one
            waiting += [child for child in reversed(one.children) if isinstance(child, Element)]

    def all(self, tag: str = "", *, cls: str = "", having: str = "") -> Iterator[Element]:
        """Yield what bears a tag, a class and an attribute, each where given."""
        for one in self.walk():
            if (
                (not tag or one.tag == tag)
                and (not cls or cls in one.classes)
                and (not having or having in one.attributes)
            ):
                yield one

    def first(self, tag: str = "", *, cls: str = "", having: str = "") -> Element | None:
        return next(self.all(tag, cls=cls, having=having), None)

    def outermost(self, cls: str, *, beside: Callable[[Element], bool] = lambda _: False) -> Iterator[Element]:
        """Yield what bears a class and does not stand in another such."""
        waiting = [self]
        while waiting:
            one = waiting.pop()
            if beside(one):
                continue
            if cls in one.classes:
                yield one
            else:
                waiting += [child for child in reversed(one.children) if isinstance(child, Element)]

    def without(self, beside: Callable[[Element], bool]) -> Element:
        """Return a copy that lacks what is `beside` the matter."""
        copy = Element(tag=self.tag, attributes=dict(self.attributes))
        waiting = [(self, copy)]
        while waiting:
            one, kept = waiting.pop()
            for child in one.children:
                if isinstance(child, str):
                    kept.children.append(child)
                elif not beside(child):
                    kept.children.append(Element(tag=child.tag, attributes=dict(child.attributes)))
                    waiting.append((child, kept.children[-1]))  # type: ignore[arg-type]  # the element just added
        return copy

    @property
    def text(self) -> str:
        """The characters in it as they stand; scripts and styles are characters, too."""
        return "".join(self._pieces())

    def _pieces(self) -> Iterator[str]:
        waiting: list[Element | str] = [self]
        while waiting:
            one = waiting.pop()
            if isinstance(one, str):
                yield one
            else:
                waiting += reversed(one.children)

    @property
    def markup(self) -> str:
        """What is in it, written as HTML again."""
        out: list[str] = []
        waiting: list[Element | str | None] = [*reversed(self.children)]
        open_tags: list[str] = []
        while waiting:
            one = waiting.pop()
            if one is None:
                out.append(f"</{open_tags.pop()}>")
            elif isinstance(one, str):
                out.append(escape(one, quote=False))
            else:
                given = "".join(f' {name}="{escape(value)}"' for name, value in one.attributes.items())
                out.append(f"<{one.tag}{given}>")
                if one.tag not in VOID:
                    open_tags.append(one.tag)
                    waiting += [None, *reversed(one.children)]
        return "".join(out)


def read_tree(page: str) -> Element:
    """Return a page as one element that holds all of it."""
    builder = _Builder()
    feed_whole(builder, page)
    return builder.root


class _Builder(LenientParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element(tag="")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ENDS_ITSELF and self._open[-1].tag == tag:
            self._open.pop()
        one = Element(tag=tag, attributes={name: value or "" for name, value in reversed(attrs)})
        self._open[-1].children.append(one)
        if tag not in VOID and len(self._open) < DEEPEST:
            self._open.append(one)

    def handle_endtag(self, tag: str) -> None:
        for place in range(len(self._open) - 1, 0, -1):
            if self._open[place].tag == tag:
                del self._open[place:]
                return

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)
