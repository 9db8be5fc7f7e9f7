"""Whose an answer is. Pure.

A cache with a wrong key, a proxy that mixes answers up or a server with a fault gives answers that are whole and in
order, of another account. Nothing in them may be stored under a name of ours, prove that something was read, or bury a
post. So each connector holds what its platform tells of an answer's owner against who was asked for. What an answer
does not tell is no contradiction; names are the same in any letter case, as on every platform.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from connectors.base import SchemaDrift

NAMED = 3  # ids in one message
LONGEST = 80
STRANGE = re.compile(r"[^\w.:/@~-]")  # in what a server calls an account


class AnotherAccount(SchemaDrift):
    """An answer about another account than the one that was asked for."""

    def __init__(self, what: str, *, asked: Iterable[str], told: Iterable[str]) -> None:
        super().__init__(
            f"{what}: asked for {_shown(asked)}, the answer is about {_shown(told)}; nothing of it was taken. If the "
            "account has a new name, correct it in the register; else a proxy or the server mixes answers up"
        )


def must_be(what: str, asked: Iterable[str], told: Iterable[object]) -> None:
    """Raise AnotherAccount unless every name that an answer tells is one of those asked for. Empty ones say nothing."""
    asked = list(filter(None, asked))
    own = set(map(str.casefold, asked))
    strange = [name for name in _named(told) if own and name.casefold() not in own]
    if strange:
        raise AnotherAccount(what, asked=asked, told=strange)


def must_hold_own(what: str, asked: Iterable[str], told: Iterable[Iterable[object]]) -> None:
    """Raise AnotherAccount where none of an answer's posts is the account's. `told`: the names each goes by.

    For lists in which the posts of others may stand among the account's own: shared, or published with others.
    """
    asked, posts = list(filter(None, asked)), [list(_named(names)) for names in told]
    own = set(map(str.casefold, asked))
    is_strange = bool(own and posts) and not any(not names or own & set(map(str.casefold, names)) for names in posts)
    if is_strange:
        raise AnotherAccount(what, asked=asked, told=(names[0] for names in posts))


def must_answer(what: str, asked: Iterable[str], shown: Iterable[str]) -> None:
    """Raise AnotherAccount where an answer to a look-up by ids shows one that was not asked for.

    What such an answer leaves out would else count as deleted.
    """
    must_be(what, asked, shown)


def _named(told: Iterable[object]) -> Iterator[str]:
    """Yield what is a name; ids are numbers on some platforms."""
    for name in told:
        if name and isinstance(name, str | int) and not isinstance(name, bool):
            yield str(name)


def _shown(names: Iterable[str]) -> str:
    """Return names for a message: a few, of those that are told twice one, and nothing that is no name."""
    shown = list(dict.fromkeys(STRANGE.sub("?", name)[:LONGEST] for name in names))
    return ", ".join(shown[:NAMED]) + (f" and {len(shown) - NAMED} more" if len(shown) > NAMED else "")
