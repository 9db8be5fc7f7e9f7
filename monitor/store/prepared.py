"""Statements that go with every transaction, post or mail: compiled once, then handed to the driver as they are.

SQLAlchemy's own way to a statement that it has compiled before takes some ten times as long as SQLite takes to run it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import BindParameter, Column, Connection, Insert, Select, Table, bindparam, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import CompilerElement
from sqlalchemy.sql.schema import ScalarElementColumnDefault

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
        form = self._form(connection.dialect)
        return _run(connection, form, lambda cursor: cursor.execute(form.sql, form.fill(values)))

    def run_each(self, connection: Connection, rows: Iterable[Mapping[str, object]]) -> None:
        """Run it once for each of these values, in their order."""
        form = self._form(connection.dialect)
        _run(connection, form, lambda cursor: cursor.executemany(form.sql, [form.fill(row) for row in rows]))

    def rows(self, connection: Connection, values: Mapping[str, object] = NOTHING) -> list[dict[str, Any]]:
        """Run a select and return its rows by the columns' names, with their types, like `mappings`."""
        columns = self._form(connection.dialect).columns
        return [
            {
                name: value if convert is None else convert(value)
                for (name, convert), value in zip(columns, row, strict=True)
            }
            for row in self.run(connection, values).fetchall()
        ]

    def _form(self, dialect: Dialect) -> _Form:
        form = self._forms.get(dialect.name)
        if form is None:
            form = self._forms[dialect.name] = _form(self._others.get(dialect.name, self._statement), dialect)
        return form


Conversion: TypeAlias = Callable[[Any], Any] | None


@dataclass(frozen=True, slots=True)
class _Form:
    """A statement as one database's driver takes it.

    `places`: each value's name, its own value, and its conversion; `columns`: each column's name and conversion.
    """

    sql: str
    places: tuple[tuple[str, object, Conversion], ...]
    columns: tuple[tuple[str, Conversion], ...]
    by_name: bool

    def fill(self, values: Mapping[str, object]) -> Any:
        found = [
            values.get(name, own) if convert is None else convert(values.get(name, own))
            for name, own, convert in self.places
        ]
        return {place[0]: value for place, value in zip(self.places, found, strict=True)} if self.by_name else found


def _run(connection: Connection, form: _Form, execute: Callable[[Any], object]) -> Any:
    dialect = connection.dialect
    cursor = connection.connection.cursor()
    try:
        execute(cursor)
    except dialect.loaded_dbapi.Error as error:
        raise _wrapped(error, form.sql, dialect) from error
    return cursor


def _form(statement: CompilerElement, dialect: Dialect) -> _Form:
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)
    names = (compiled.positiontup if compiled.positional else list(compiled.binds)) or []
    places = tuple(
        (name, value.effective_value, value.type.dialect_impl(dialect).bind_processor(dialect))
        for name, value in ((name, compiled.binds[name]) for name in names)
    )
    columns = tuple(
        (column.name, column.type.dialect_impl(dialect).result_processor(dialect, None))
        for column in (statement.selected_columns if isinstance(statement, Select) else ())
    )
    return _Form(str(compiled), places, columns, by_name=not compiled.positional)


def _wrapped(error: Exception, sql: str, dialect: Dialect) -> BaseException:
    """Return the driver's error as SQLAlchemy's; it repeats no value, which may be a mail."""
    base = dialect.loaded_dbapi.Error
    return DBAPIError.instance(sql, None, error, base, hide_parameters=True, dialect=dialect)


def new_row(table: Table, *columns: str) -> Insert:
    """Return an insert of a row with these columns, whose values go by the columns' names with `new_` before them.

    Without any named: all but the key.
    """
    every = [column.name for column in table.c if not column.primary_key]
    return insert(table).values(new_values(table, *(columns or every)))


def new_row_if_new(table: Table, *columns: str, returning: Column[Any] | None = None) -> Prepared:
    """Return `new_row`, prepared, that does nothing when a row with a unique value of it is there.

    What the row needs besides is written by the table's own defaults.
    """
    usual = {one.name: one.default.arg for one in table.c if isinstance(one.default, ScalarElementColumnDefault)}

    def of(dialect: Any) -> Any:
        row = dialect.insert(table).values({**usual, **new_values(table, *columns)}).on_conflict_do_nothing()
        return row if returning is None else row.returning(returning)

    return Prepared(of(sqlite), postgresql=of(postgresql))


def new_values(table: Table, *columns: str) -> dict[str, BindParameter[Any]]:
    return {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in columns}


def as_new(facts: Mapping[str, object]) -> dict[str, object]:
    """Return the values of `new_row` for a row."""
    return {f"new_{name}": value for name, value in facts.items()}
