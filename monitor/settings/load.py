"""The only reader of pantau.toml, of the environment and of secret files: all three become one object.

Every mistake is reported at once, with file, key and remedy. Relative paths are relative to the folder of pantau.toml.
"""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from monitor.problems import ConfigurationError, Problem, suggestion
from monitor.settings import FILE_NAME, Database, Settings
from monitor.settings.contradictions import contradictions
from monitor.settings.section import read_section

PREFIX = "PANTAU_"
NOT_SETTINGS = frozenset({"PANTAU_CONFIG"})  # read by the command line
SECTIONS: Mapping[str, type[Any]] = {
    name: kind
    for name, kind in typing.get_type_hints(Settings).items()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind)
}


def load_settings(folder: Path, environ: Mapping[str, str]) -> Settings:
    """Read `folder`/pantau.toml and the PANTAU_… variables. Raises ConfigurationError with every problem found."""
    problems: list[Problem] = []
    settings = read_settings(folder, environ, problems)
    if problems:
        raise ConfigurationError(problems)
    return settings


def read_settings(folder: Path, environ: Mapping[str, str], problems: list[Problem]) -> Settings:
    """Return the settings with the defaults in place of what is wrong, which is added to `problems`.

    Raises ConfigurationError when the file as a whole cannot be read.
    """
    folder = folder.resolve()
    source = folder / FILE_NAME
    table = _toml(source)
    _overlay(table, environ, str(source), problems)
    problems += _unknown_sections(table, str(source))
    sections = _sections(table, folder, str(source), problems)
    connectors = _connector_tables(table.get("connectors", {}), str(source), problems)
    files = _named_files(table, folder)
    settings = _resolved(Settings(folder=folder, source=source, connectors=connectors, files=files, **sections))
    problems += contradictions(settings)
    name_variables(problems, source, environ)
    return settings


def name_variables(problems: list[Problem], source: Path, environ: Mapping[str, str]) -> None:
    """Name the variable instead of the key for what is wrong with a value that came from the environment."""
    for number, one in enumerate(problems):
        name = PREFIX + one.place.upper().replace(".", "__")
        if one.file == str(source) and name in environ:
            problems[number] = dataclasses.replace(one, file="environment", place=name)


def _toml(source: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(source.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        message = f"there is no configuration here; `pantau init {source.parent}` writes one"
    except OSError as error:
        message = f"cannot be read ({error.strerror})"
    except UnicodeDecodeError:
        message = "is not UTF-8; save it as UTF-8"
    except tomllib.TOMLDecodeError as error:
        message = f"is not valid TOML: {error}"
    raise ConfigurationError([Problem(file=str(source), place="", message=message)])


def _overlay(table: dict[str, Any], environ: Mapping[str, str], file: str, problems: list[Problem]) -> None:
    """Lay PANTAU_SECTION__KEY over the file; a secret from one place replaces its twin from the other."""
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in NOT_SETTINGS:
            continue
        *path, key = name.removeprefix(PREFIX).lower().split("__")
        known = (len(path) == 1 and path[0] in SECTIONS) or (len(path) == 2 and path[0] == "connectors")
        if not known:
            message = "names no setting; PANTAU_SECTION__KEY with two underscores between, e.g. PANTAU_MAIL__HOST"
            problems.append(Problem(file="environment", place=name, message=message))
            continue
        target = table
        for depth, part in enumerate(path, start=1):
            if not isinstance(target.setdefault(part, {}), dict):
                place = ".".join(path[:depth])
                problems.append(Problem(file=file, place=place, message=f"expected a section [{place}]"))
                target[part] = {}
            target = target[part]
        target.pop(key.removesuffix("_file") if key.endswith("_file") else f"{key}_file", None)
        target[key] = environ[name]


def _unknown_sections(table: Mapping[str, object], file: str) -> Iterator[Problem]:
    for name, content in table.items():
        if name != "connectors" and name not in SECTIONS:
            known = suggestion(name, [*SECTIONS, "connectors"])
            yield Problem(file=file, place=name, message=f"unknown section{known}")
        elif not isinstance(content, dict):
            yield Problem(file=file, place=name, message=f"expected a section [{name}]")


def _sections(table: Mapping[str, object], folder: Path, file: str, problems: list[Problem]) -> dict[str, Any]:
    sections: dict[str, Any] = {}
    for name, kind in SECTIONS.items():
        content = table.get(name)
        given = content if isinstance(content, dict) else {}
        section, wrong = read_section(kind, given, file=file, place=name, folder=folder)
        problems += wrong
        sections[name] = kind() if section is None else section
    return sections


def _connector_tables(content: object, file: str, problems: list[Problem]) -> dict[str, Mapping[str, object]]:
    tables: dict[str, Mapping[str, object]] = {}
    for name, table in content.items() if isinstance(content, dict) else []:
        if isinstance(table, dict):
            tables[name] = table
        else:
            message = f"expected a section [connectors.{name}]"
            problems.append(Problem(file=file, place=f"connectors.{name}", message=message))
    return tables


def _named_files(table: Mapping[str, object], folder: Path, prefix: str = "") -> dict[str, Path]:
    found: dict[str, Path] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= _named_files(value, folder, f"{prefix}{key}.")
        elif key.endswith("_file") and isinstance(value, str):
            found[f"{prefix}{key}"] = (folder / Path(value).expanduser()).resolve()
    return found


def _resolved(settings: Settings) -> Settings:
    """Make the paths that are not given as such absolute: the SQLite file, and defaults that were not in the file."""
    url = settings.database.url
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        url = f"sqlite:///{(settings.folder / url.removeprefix('sqlite:///')).resolve()}"
    mail = dataclasses.replace(settings.mail, folder=(settings.folder / settings.mail.folder).resolve())
    return dataclasses.replace(settings, database=Database(url=url), mail=mail)
