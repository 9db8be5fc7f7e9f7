"""A YAML document whose every value knows its file, key and line, so that a mistake is reported where it stands.

Scalars are read as they are written: the phrase `no` is the word "no", not a boolean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

import yaml

from monitor.problems import Problem, suggestion

LONGEST_FILE = 1_000_000
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # which does not ask of every scalar what it might be
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the document. Readers return None after they have reported what is wrong."""

    file: str
    key: str
    node: yaml.Node
    problems: list[Problem]

    def wrong(self, message: str, *, key: str = "") -> None:
        """Report a mistake of this value, or of a key inside it."""
        name = ".".join(part for part in (self.key, key) if part)
        place = f"{name} (line {self.node.start_mark.line + 1})" if name else f"line {self.node.start_mark.line + 1}"
        self.problems.append(Problem(file=self.file, place=place, message=message))

    def _missing(self, name: str) -> None:
        if self.key:
            self.wrong("is missing", key=name)
        else:  # the line of a whole file says nothing
            self.problems.append(Problem(file=self.file, place=name, message="is missing"))

    def keys(self, known: Iterable[str] | None, *, required: Iterable[str] = ()) -> dict[str, Value]:
        """Return the values of a mapping by key; unknown, repeated and missing keys are reported."""
        if not isinstance(self.node, yaml.MappingNode):
            self.wrong("expected keys with values")
            return {}
        found: dict[str, Value] = {}
        allowed = set(known) if known is not None else None
        for key_node, value_node in self.node.value:
            name = str(key_node.value)
            inner = Value(self.file, f"{self.key}.{name}" if self.key else name, value_node, self.problems)
            if allowed is not None and name not in allowed:
                inner.wrong(f"unknown key{suggestion(name, allowed)}")
            elif name in found:
                inner.wrong("stands here twice; keep one of the two")
            else:
                found[name] = inner
        for name in required:
            if name not in found:
                self._missing(name)
        return found

    def has(self, name: str) -> bool:
        """Tell whether a mapping holds a key, before its keys are read."""
        node = self.node
        return isinstance(node, yaml.MappingNode) and any(str(key.value) == name for key, _ in node.value)

    def peek(self, name: str) -> str | None:
        """Return the text of a mapping's key without judging it; None when there is none."""
        pairs = self.node.value if isinstance(self.node, yaml.MappingNode) else ()
        return next((str(v.value) for k, v in pairs if k.value == name and isinstance(v, yaml.ScalarNode)), None)

    @property
    def is_list(self) -> bool:
        return isinstance(self.node, yaml.SequenceNode)

    def items(self) -> list[Value]:
        if not isinstance(self.node, yaml.SequenceNode):
            self.wrong("expected a list, such as [a, b]")
            return []
        return [
            Value(self.file, f"{self.key}[{number}]", node, self.problems)
            for number, node in enumerate(self.node.value, start=1)
        ]

    def text(self) -> str | None:
        if not isinstance(self.node, yaml.ScalarNode):
            self.wrong("expected text")
            return None
        if not self.node.value.strip():
            self.wrong("is empty")
            return None
        return str(self.node.value)

    def texts(self) -> list[str]:
        """Return a list of texts; a single text is a list of one. A list that is written holds something."""
        if isinstance(self.node, yaml.ScalarNode):
            one = self.text()
            return [one] if one is not None else []
        items = self.items()
        if self.is_list and not items:
            self.wrong("is empty")
        return [text for item in items if (text := item.text()) is not None]

    def integer(self, *, least: int, most: int) -> int | None:
        text = self.text()
        if text is None:
            return None
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
        if not least <= number <= most:
            self.wrong(f"'{text}': expected a whole number from {least} to {most}")
            return None
        return number

    def choice(self, known: Mapping[str, T]) -> T | None:
        text = self.text()
        if text is None:
            return None
        if text not in known:
            self.wrong(f"'{text}': unknown{suggestion(text, known)}")
            return None
        return known[text]

    def day(self) -> date | None:
        text = self.text()
        if text is None:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            self.wrong(f"'{text}': expected a date such as 2027-06-30")
            return None


def read(data: bytes, *, file: str, problems: list[Problem]) -> Value | None:
    """Return the document's top value; None when it is no YAML document, which is reported."""
    if len(data) > LONGEST_FILE:
        problems.append(Problem(file=file, place="", message=f"is over {LONGEST_FILE} bytes; split it"))
        return None
    try:
        node = yaml.compose(data.decode("utf-8-sig"), Loader=_LOADER)
    except UnicodeDecodeError:
        problems.append(Problem(file=file, place="", message="is not UTF-8; save it as UTF-8"))
        return None
    except (yaml.YAMLError, RecursionError) as error:
        problems.append(Problem(file=file, place=_where(error), message=f"is not YAML: {_why(error)}"))
        return None
    if node is None:
        problems.append(Problem(file=file, place="", message="is empty"))
        return None
    if b"&" in data and any(_repeated(node)):
        problems.append(Problem(file=file, place="", message="uses anchors (&, *); write the values out"))
        return None
    return Value(file, "", node, problems)


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deep"
    return getattr(error, "problem", None) or "unreadable"


def _repeated(node: yaml.Node) -> Iterator[bool]:
    """Yield once for each node that stands in two places: an alias, which could blow a small file up."""
    seen: set[int] = set()
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            yield True
            continue
        seen.add(id(one))
        if isinstance(one, yaml.MappingNode):
            waiting += [part for pair in one.value for part in pair]
        elif isinstance(one, yaml.SequenceNode):
            waiting += one.value
