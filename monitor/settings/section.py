"""Reading a table of TOML into a frozen dataclass by the types of its fields."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from monitor.problems import Problem, suggestion
from monitor.settings import Secret
from monitor.settings.values import READERS, text

T = TypeVar("T")


def read_section(
    cls: type[T], table: Mapping[str, object], *, file: str, place: str, folder: Path
) -> tuple[T | None, list[Problem]]:
    """Read a table into a frozen dataclass by its field types.

    Types: str, int, bool, timedelta ("15m"), time ("08:00"), Path (resolved against `folder`), Secret (also as
    `<key>_file`), tuple[str, …]. Returns (None, problems) when anything is wrong; all of it is reported.
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]  # any dataclass, as documented
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    secret_files = {f"{name}_file": name for name, hint in hints.items() if hint is Secret}
    for key, raw in table.items():
        where = f"{place}.{key}"
        try:
            if key in secret_files:
                if secret_files[key] in table:
                    raise ValueError(f"{secret_files[key]} is given as well; keep one of the two")
                values[secret_files[key]] = _secret_file(raw, folder)
            elif key in fields:
                values[key] = _value(hints[key], raw, folder, fields[key].metadata)
            else:
                known = sorted(fields.keys() | secret_files.keys())
                raise KeyError(f"unknown key{suggestion(key, known)}")
        except (TypeError, ValueError, KeyError) as error:
            found = f', found "{raw}"' if isinstance(error, TypeError) else ""
            problems.append(Problem(file=file, place=where, message=f"{error.args[0]}{found}"))
    problems += [
        Problem(file=file, place=f"{place}.{name}", message="is missing")
        for name, f in fields.items()
        if name not in values
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
        and not any(p.place == f"{place}.{name}" for p in problems)
    ]
    for name, f in fields.items():  # a folder that is not named lies beside those that are
        if name not in values and isinstance(f.default, Path):
            values[name] = (folder / f.default).resolve()
    return (None, problems) if problems else (cls(**values), [])


def _value(hint: Any, raw: object, folder: Path, metadata: Mapping[str, Any]) -> Any:
    if hint is Secret:
        return raw if isinstance(raw, Secret) else Secret(text(raw))
    if hint is Path or (isinstance(hint, types.UnionType) and Path in typing.get_args(hint)):
        return (folder / Path(text(raw)).expanduser()).resolve()
    value = READERS[hint](raw)
    allowed = metadata.get("one_of")
    if allowed and value not in allowed:
        raise ValueError(f"'{value}': unknown{suggestion(str(value), allowed)}")
    return value


# Such as a token that was written where the name of its file belongs.
LIKE_A_SECRET = re.compile(r"(?=.*\d)(?=.*[A-Z])(?=.*[a-z])[^\s/\\]{30,}")


def _secret_file(raw: object, folder: Path) -> Secret:
    path = (folder / Path(text(raw)).expanduser()).resolve()
    try:
        value = path.read_text(encoding="utf-8").strip()
    except PermissionError:
        raise ValueError(f"{path}: cannot be read (Permission denied); let Pantau's user read it") from None
    except OSError as error:
        if LIKE_A_SECRET.fullmatch(text(raw)):  # which a terminal or a log must not show
            raise ValueError("names no file that is there; write the secret into a file, and its name here") from None
        raise ValueError(f"{path}: cannot be read ({error.strerror}); write the secret into this file") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is not text; write the secret into this file as UTF-8") from None
    if not value:
        raise ValueError(f"{path}: is empty; write the secret into this file")
    if len(value.splitlines()) > 1:
        raise ValueError(f"{path}: has several lines; write the secret alone into this file")
    return Secret(value)
