"""A rule as its author wrote it: the words that the engine has long turned into patterns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from monitor.rules.load import INSTRUMENT_FILE, LISTS_FOLDER

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A rule file's values, all of them texts, lists and mappings, and the word lists that it names."""

    data: Mapping[str, Any]
    lists: Mapping[str, Sequence[str]]

    def words(self, value: Mapping[str, Any]) -> list[str]:
        """Return the phrases of a part or a shift, those of its lists included."""
        words = texts(value.get("phrases", []))
        for name in texts(value.get("lists", [])):
            words += self.lists[name]
        return words


def read_source(file: Path, known: dict[Path, Sequence[str]] | None = None) -> Source:
    """Read a rule file that `load_rules` took before. Raises OSError when it is gone since then.

    `known` keeps the word lists for the next rule.
    """
    data = read_yaml(file)
    folder = instrument_folder(file) / LISTS_FOLDER
    known = {} if known is None else known
    return Source(data=data, lists={name: _words(folder / f"{name}.yaml", known) for name in _named_lists(data)})


def _words(file: Path, known: dict[Path, Sequence[str]]) -> Sequence[str]:
    if file not in known:
        known[file] = texts(read_yaml(file)["phrases"])
    return known[file]


def instrument_folder(file: Path) -> Path:
    """Return the folder of the instrument that a rule file belongs to."""
    return next((place for place in file.parents if (place / INSTRUMENT_FILE).is_file()), file.parent)


def read_yaml(file: Path) -> Any:
    """Return what a file holds, scalars as the texts that stand there: the phrase `no` is no boolean."""
    return yaml.load(file.read_text(encoding="utf-8-sig"), Loader=_LOADER)  # noqa: S506 (makes texts only)


def texts(value: Any) -> list[str]:
    """Return a list of texts; a single text is a list of one."""
    return [value] if isinstance(value, str) else list(value)


def _named_lists(value: Any) -> set[str]:
    if isinstance(value, list):
        return {name for item in value for name in _named_lists(item)}
    if not isinstance(value, dict):
        return set()
    own = set(texts(value.get("lists", [])))
    return own | {name for key, item in value.items() if key != "lists" for name in _named_lists(item)}
