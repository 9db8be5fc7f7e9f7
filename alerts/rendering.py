"""From words to a letter: three template files by name and language. Pure.

Letters of one kind differ in a few words. The rest is rendered once, as a form with places for these.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import count
from pathlib import Path

from jinja2 import Environment, StrictUndefined, select_autoescape
from markupsafe import escape

from alerts.styles import StyledLoader
from monitor.disclosure import one_line
from monitor.model import Language

TEMPLATES = Path(__file__).parent / "templates"
SUBJECT_LIMIT = 240  # code points; a mail program shows far fewer
TEXT_ONLY = frozenset({"out_of_band"})  # templates without a page: gateways to telephones read plain text
TEXT_WIDTH = 76
FORMS = 256  # some 10 KB each
PLACE = "\ue001"  # stands around a particular's name in a form; `monitor.disclosure` lets it into no mail
# What a template prints as it is, and of which it asks no more than whether there is any; texts, or tuples of texts.
PARTICULARS = frozenset({
    "account", "address_lines", "agency", "answer", "blind_for", "case", "console", "edited_at", "evidence", "lasted",
    "link", "next_step_at", "opened_at", "published_at", "recovered_at", "salutation", "short_account", "since",
    "today", "told_since", "written_at",
})  # fmt: skip
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
    subject = _subject(_rendered(f"{language.value}/{template}.subject.txt", words))
    text, html = _body(template, language, words, subject)
    return Letter(subject=subject, text=text, html=html)


def fill_in(template: str, language: Language, words: Mapping[str, object]) -> Letter:
    """Return the letter that `render` returns, in a quarter of the time when there was one like it before.

    All words but the PARTICULARS are hashable.
    """
    own: dict[str, str] = {}
    form = _form(template, language, tuple((name, _place(name, value, own)) for name, value in words.items()))
    own["subject"] = subject = _subject(_filled(form.subject, own))
    html = _filled(form.html, {name: escape(value) for name, value in own.items()})
    return Letter(subject=subject, text=_filled(form.text, own), html=html)


def _place(name: str, value: object, own: dict[str, str]) -> object:
    """Return what stands for a word in a form, itself if it is no particular; particulars are put into `own`."""
    if not value or name not in PARTICULARS:
        return value
    if isinstance(value, tuple):
        names = [f"{name}.{number}" for number in range(len(value))]
        own.update(zip(names, value, strict=True))
        return tuple(map(_marked, names))
    own[name] = str(value)
    return _marked(name)


@cache
def _marked(name: str) -> str:
    return f"{PLACE}{name}{PLACE}"


@dataclass(frozen=True, slots=True)
class _Form:
    """A letter's texts with places: a piece of text, the name of what follows it, a piece of text, and so on."""

    subject: tuple[str, ...]
    text: tuple[str, ...]
    html: tuple[str, ...]


@lru_cache(maxsize=FORMS)
def _form(template: str, language: Language, words: tuple[tuple[str, object], ...]) -> _Form:
    common = dict(words)
    subject = _rendered(f"{language.value}/{template}.subject.txt", common)
    texts = (subject, *_body(template, language, common, _marked("subject")))
    return _Form(*(tuple(text.split(PLACE)) for text in texts))


def _filled(form: tuple[str, ...], own: Mapping[str, str]) -> str:
    parts = list(form)
    parts[1::2] = [own[name] for name in form[1::2]]
    return "".join(parts)


def _subject(rendered: str) -> str:
    return one_line(rendered, limit=SUBJECT_LIMIT)


def _body(template: str, language: Language, words: Mapping[str, object], subject: str) -> tuple[str, str]:
    """Return the letter's text and page; the page is empty for a short message."""
    place = f"{language.value}/{template}"
    words = {**words, "subject": subject, "language": language.value}
    return _rendered(f"{place}.txt", words), "" if template in TEXT_ONLY else _rendered(f"{place}.html", words)


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
