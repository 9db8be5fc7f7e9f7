"""Statements that go with every transaction, post or mail: compiled once, then handed to the driver as they are.

SQLAlchemy's own way to a statement that it has compiled before takes some ten times as long as SQLite takes to run it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Insert, Table, bindparam, insert
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import CompilerElement

NOTHING: Mapping[str, object] = {}


class Prepared:
    """A statement whose values all have names (`bindparam`). It is run in a transaction that has begun."""

    def __init__(self, statement: CompilerElement, **for_dialects: CompilerElement) -> None:
        """`for_dialects`: the statements of databases that say it otherwise."""
        self._statement = statement
        self._others = for_dialects
        self._forms: dict[str, _Form] = {}

    def run(self, connection: Connection, values: Mapping[str, object] = NOTHING) -> Any:
        """Run it and return the driver's cursor, as PEP 249 has it. Raises SQLAlchemy's errors, like `execute`."""
        dialect = connection.dialect
        form = self._forms.get(dialect.name)
        if form is None:
            form = self._forms[dialect.name] = _form(self._others.get(dialect.name, self._statement), dialect)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(form.sql, form.fill(values))
        except dialect.loaded_dbapi.Error as error:
            raise _wrapped(error, form.sql, dialect) from error
        return cursor


@dataclass(frozen=True, slots=True)
class _Form:
    """A statement as one database's driver takes it. `places`: each value's name, its own value, and its conversion."""

    sql: str
    places: tuple[tuple[str, object, Callable[[Any], Any] | None], ...]
    by_name: bool

    def fill(self, values: Mapping[str, object]) -> Any:
        found = (
            (name, convert(value) if convert is not None else value)
            for name, own, convert in self.places
            for value in (values.get(name, own),)
        )
        return dict(found) if self.by_name else [value for _, value in found]


def _form(statement: CompilerElement, dialect: Dialect) -> _Form:
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    names = (compiled.positiontup if compiled.positional else list(compiled.binds)) or []
    places = tuple(
        (name, value.effective_value, value.type.dialect_impl(dialect).bind_processor(dialect))
        for name, value in ((name, compiled.binds[name]) for name in names)
    )
    return _Form(str(compiled), places, by_name=not compiled.positional)


def _wrapped(error: Exception, sql: str, dialect: Dialect) -> BaseException:
    """Return the driver's error as SQLAlchemy's; it repeats no value, which may be a mail."""
    base = dialect.loaded_dbapi.Error
    return DBAPIError.instance(sql, None, error, base, hide_parameters=True, dialect=dialect)


def new_row(table: Table, *columns: str) -> Insert:
    """Return an insert of a row with these columns, whose values go by the columns' names with `new_` before them."""
    return insert(table).values({name: bindparam(f"new_{name}", type_=table.c[name].type) for name in columns})


def as_new(facts: Mapping[str, object]) -> dict[str, object]:
    """Return the values of `new_row` for a row."""
    return {f"new_{name}": value for name, value in facts.items()}
