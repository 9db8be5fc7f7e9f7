"""Statements that are compiled once say and store the same as those that SQLAlchemy runs, on every database."""

import pytest
from builders import NOW
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from monitor.store.database import explained
from monitor.store.prepared import Prepared
from monitor.store.tables import silence

NEW = Prepared(insert(silence))
RENAME = Prepared(
    update(silence).where(silence.c.author == bindparam("who")).values(author="other", rule=bindparam("to"))
)
AUTHORS = Prepared(select(silence.c.author, silence.c.rule).order_by(silence.c.id))
ROW = {"author": "siti", "reason": "cuti", "created_at": NOW, "expires_at": NOW, "rule": "r", "account_id": None}


def test_what_is_written_is_what_sqlalchemy_reads(db):
    with db.write() as connection:
        NEW.run(connection, {"id": 1, **ROW})
        assert connection.execute(select(silence)).mappings().one() == {"id": 1, **ROW}


def test_a_statement_s_own_values_stand_beside_those_it_is_given(db):
    with db.write() as connection:
        connection.execute(insert(silence), [{"id": 1, **ROW}, {"id": 2, **ROW, "author": "ali"}])
        assert RENAME.run(connection, {"who": "siti", "to": "new"}).rowcount == 1
        assert RENAME.run(connection, {"who": "nobody", "to": "new"}).rowcount == 0
        assert [tuple(row) for row in AUTHORS.run(connection)] == [("other", "new"), ("ali", "r")]


def test_rows_are_those_that_sqlalchemy_reads(db):
    everything = select(silence)
    with db.write() as connection:
        NEW.run(connection, {"id": 1, **ROW})
        assert Prepared(everything).rows(connection) == connection.execute(everything).mappings().all()


def test_it_is_undone_with_its_transaction(db):
    with db.write() as connection:
        NEW.run(connection, {"id": 1, **ROW})
        connection.rollback()
    with db.read() as connection:
        assert connection.execute(select(silence)).first() is None


def test_its_errors_are_those_of_sqlalchemy_and_repeat_no_value(db):
    with pytest.raises(IntegrityError) as failed, db.write() as connection:
        NEW.run(connection, {"id": 1, **ROW, "reason": None, "author": "s3cret"})
    assert "s3cret" not in explained(failed.value)
    assert failed.value.params is None


def test_it_runs_for_each_of_some_values_in_their_order(db):
    with db.write() as connection:
        NEW.run_each(connection, ({"id": n, **ROW, "author": name} for n, name in enumerate(("ali", "siti"), start=1)))
        RENAME.run_each(connection, [{"who": "ali", "to": "a"}, {"who": "other", "to": "b"}])
        assert [tuple(row) for row in AUTHORS.run(connection)] == [("other", "b"), ("siti", "r")]


def test_where_one_of_some_values_cannot_be_written_the_error_repeats_none(db):
    with pytest.raises(IntegrityError) as failed, db.write() as connection:
        NEW.run_each(connection, [{"id": 1, **ROW}, {"id": 1, **ROW, "author": "s3cret"}])
    assert "s3cret" not in explained(failed.value)
