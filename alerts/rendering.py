"""From words to a letter: three template files by name and language. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import count
from pathlib import Path

from jinja2 import Environment, StrictUndefined, select_autoescape

from alerts.styles import StyledLoader
from monitor.disclosure import one_line
from monitor.model import Language

TEMPLATES = Path(__file__).parent / "templates"
SUBJECT_LIMIT = 240  # code points; a mail program shows far fewer
TEXT_ONLY = frozenset({"out_of_band"})  # templates without a page: gateways to telephones read plain text
TEXT_WIDTH = 76
HANGING = re.compile(r" +(?:\([a-z]\) |- |.{15}: )?")  # where the lines below an indented one begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail's three texts, as its templates gave them. `html` is empty for a mail of plain text alone."""

    subject: str
    text: str
    html: str

    def folded(self) -> Letter:
        """Return the letter with the lines of its text folded, for mail programs that do not do it themselves."""
        if not self.html:
            return self  # a short message is one line
        text = "".join(map(_folded, self.text.splitlines()))
        return replace(self, text=re.sub(r"\n{3,}", "\n\n", text))


@cache
def _environment() -> Environment:
    """Texts are escaped in HTML, and a name that a template misspells is an error, not a hole in a letter."""
    loader = StyledLoader(TEMPLATES)
    environment = Environment(
        loader=loader,
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,  # templates are part of the program, and few
        cache_size=-1,
    )
    environment.globals.clear()  # a letter gets its words and nothing else; each import of macros would compare them
    environment.filters["line"] = one_line
    loader.install(environment)
    return environment


def render(template: str, language: Language, words: Mapping[str, object]) -> Letter:
    """Render `template` (subject.txt, txt, html) in the language. Raises jinja2.TemplateError for a mistake in it.

    The letter's form numbers paragraphs from the second on: a template asks for the next number with `nr()`, and for
    the next item of its list, "(a)", with `item()`.
    """
    place = f"{language.value}/{template}"
    subject = one_line(_rendered(f"{place}.subject.txt", words), limit=SUBJECT_LIMIT)
    words = {**words, "subject": subject, "language": language.value}
    page = "" if template in TEXT_ONLY else _rendered(f"{place}.html", words)
    return Letter(subject=subject, text=_rendered(f"{place}.txt", words), html=page)


def _rendered(name: str, words: Mapping[str, object]) -> str:
    items = count()
    counters = {"nr": count(2).__next__, "item": lambda: f"({chr(ord('a') + next(items))})"}
    return _environment().get_template(name).render({**words, **counters})


@lru_cache(maxsize=1024)  # most lines of letters are the same in all of them
def _folded(line: str) -> str:
    """Return a line folded below where its words begin, each with its end; an address stays whole."""
    if " " not in line.strip() or (len(line) <= TEXT_WIDTH and line.isprintable()):
        return f"{line.rstrip()}\n"
    indented = HANGING.match(line)
    below = " " * len(indented[0]) if indented else ""
    lines = textwrap.wrap(line, TEXT_WIDTH, subsequent_indent=below, break_long_words=False, break_on_hyphens=False)
    return "".join(f"{folded}\n" for folded in lines)
