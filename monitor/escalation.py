"""Who is told of an alert, and when somebody else is: the policy in config/policy.toml. Read here, decided in alerts.

Delays are working time of the agency's state, but for critical alerts. Local days off and working days come on top of
what the `holidays` package knows.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from monitor.model import State
from monitor.problems import Problem, suggestion
from monitor.settings.values import duration, is_mail_address

FILE_NAME = "policy.toml"


class Role(StrEnum):
    """To whom a step goes. Those of the agency are the ones of the day of the post."""

    HEAD = "head"
    DEPUTY = "deputy"
    ICTSO = "ictso"
    COMMS = "comms"
    SECURITY_TEAM = "security-team"  # digest.recipients
    OPERATORS = "operators"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of an escalation: `after` the step before it (the first: after the opening), `to` these are told."""

    to: tuple[Role, ...]
    after: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class DayOff:
    """A day that is off, or worked, against the calendar; in these states, or in all."""

    day: date
    states: frozenset[State] = frozenset()


ORDINARY = (
    Step(to=(Role.HEAD,)),
    Step(to=(Role.HEAD,), after=timedelta(hours=4)),
    Step(to=(Role.DEPUTY, Role.ICTSO), after=timedelta(hours=4)),
    Step(to=(Role.SECURITY_TEAM,), after=timedelta(hours=8)),
)
CRITICAL = (
    Step(to=(Role.HEAD,)),
    Step(to=(Role.HEAD, Role.DEPUTY, Role.ICTSO), after=timedelta(minutes=30)),
    Step(to=(Role.SECURITY_TEAM,), after=timedelta(minutes=30)),
)


@dataclass(frozen=True, kw_only=True)  # without slots, for what is found once
class Escalation:
    """A whole policy. The defaults hold when there is no file.

    After its last step an alert that nobody answered tells the people of that step again every `repeat`. An
    acknowledgement that names no deadline holds for `acknowledged_for`; then the alert is open again.
    """

    steps: tuple[Step, ...] = ORDINARY
    critical_steps: tuple[Step, ...] = CRITICAL
    repeat: timedelta = timedelta(days=1)
    acknowledged_for: timedelta = timedelta(days=3)
    hours_from: time = time(8, 0)
    hours_to: time = time(17, 0)
    days_off: tuple[DayOff, ...] = ()
    days_worked: tuple[DayOff, ...] = ()
    out_of_band: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # agency code → a second way, for critical

    def as_json(self) -> str:
        """Return the policy as it is kept with the alerts that begin with it; equal policies are equal texts."""
        return json.dumps(_to_table(self), sort_keys=True, ensure_ascii=False)

    @cached_property
    def hash(self) -> str:
        return hashlib.sha256(self.as_json().encode()).hexdigest()[:16]


def read_escalation(folder: Path, problems: list[Problem]) -> Escalation:
    """Read `folder`/policy.toml; without the file the defaults. Each mistake is added to `problems`."""
    source = folder.resolve() / FILE_NAME
    try:
        table = tomllib.loads(source.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        return Escalation()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        problems.append(Problem(file=str(source), place="", message=f"cannot be read ({error})"))
        return Escalation()
    return _Reader(str(source), problems).policy(table)


def escalation_of(content: str) -> Escalation:
    """Return the policy that `as_json` wrote."""
    found: list[Problem] = []
    policy = _Reader("the stored policy", found).policy(json.loads(content))
    assert not found, found
    return policy


def _to_table(policy: Escalation) -> dict[str, Any]:
    return {
        "step": [_step_table(step) for step in policy.steps],
        "critical": {"step": [_step_table(step) for step in policy.critical_steps]},
        "repeat": _span_text(policy.repeat),
        "acknowledged_for": _span_text(policy.acknowledged_for),
        "working_hours": {
            "from": policy.hours_from.isoformat(),
            "to": policy.hours_to.isoformat(),
            "off": [_day_table(day) for day in policy.days_off],
            "worked": [_day_table(day) for day in policy.days_worked],
        },
        "out_of_band": {code: list(addresses) for code, addresses in sorted(policy.out_of_band.items())},
    }


def _step_table(step: Step) -> dict[str, Any]:
    return {"to": [role.value for role in step.to], "after": _span_text(step.after)}


def _day_table(day: DayOff) -> dict[str, Any]:
    return {"day": day.day.isoformat(), "states": sorted(state.value for state in day.states)}


def _span_text(span: timedelta) -> str:
    return f"{span.total_seconds():g}s"


class _Reader:
    """Reads a policy's tables and collects what is wrong with them."""

    def __init__(self, file: str, problems: list[Problem]) -> None:
        self._file = file
        self._problems = problems

    def policy(self, table: Mapping[str, Any]) -> Escalation:
        default = Escalation()
        self._known(table, "", ("step", "critical", "repeat", "acknowledged_for", "working_hours", "out_of_band"))
        critical = self._table(table, "critical")
        self._known(critical, "critical", ("step",))
        hours = self._table(table, "working_hours")
        self._known(hours, "working_hours", ("from", "to", "off", "worked"))
        begin = self._clock(hours, "from", default.hours_from)
        end = self._clock(hours, "to", default.hours_to)
        if begin >= end:
            self._wrong("working_hours.to", "is not after working_hours.from")
            begin, end = default.hours_from, default.hours_to
        return Escalation(
            steps=self._steps(table, "step", default.steps),
            critical_steps=self._steps(critical, "critical.step", default.critical_steps),
            repeat=self._span(table, "repeat", default.repeat, least=timedelta(minutes=1)),
            acknowledged_for=self._span(
                table, "acknowledged_for", default.acknowledged_for, least=timedelta(minutes=1)
            ),
            hours_from=begin,
            hours_to=end,
            days_off=self._days(hours, "off"),
            days_worked=self._days(hours, "worked"),
            out_of_band=self._out_of_band(table),
        )

    def _wrong(self, place: str, message: str) -> None:
        self._problems.append(Problem(file=self._file, place=place, message=message))

    def _known(self, table: Mapping[str, Any], place: str, keys: Sequence[str]) -> None:
        for key in table:
            if key not in keys:
                self._wrong(f"{place}.{key}".lstrip("."), f"unknown key{suggestion(key, keys)}")

    def _table(self, table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        value = table.get(key, {})
        if isinstance(value, dict):
            return value
        self._wrong(key, f"expected a section [{key}]")
        return {}

    def _steps(self, table: Mapping[str, Any], place: str, default: tuple[Step, ...]) -> tuple[Step, ...]:
        rows = table.get("step")
        if rows is None:
            return default
        if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
            self._wrong(place, f"expected at least one [[{place}]]")
            return default
        return tuple(self._step(row, f"{place}[{number}]") for number, row in enumerate(rows, start=1))

    def _step(self, row: Mapping[str, Any], place: str) -> Step:
        self._known(row, place, ("to", "after"))
        roles = []
        to = row.get("to")
        if not isinstance(to, list) or not to:
            self._wrong(f"{place}.to", 'expected a list of roles such as ["head"]')
            to = []
        known = [role.value for role in Role]
        for name in to:
            if name in known:
                roles.append(Role(name))
            else:
                self._wrong(f"{place}.to", f"'{name}': unknown role{suggestion(str(name), known)}")
        after = self._span(row, "after", timedelta(), least=timedelta(), place=f"{place}.after")
        return Step(to=tuple(dict.fromkeys(roles)), after=after)

    def _span(
        self, table: Mapping[str, Any], key: str, default: timedelta, *, least: timedelta, place: str = ""
    ) -> timedelta:
        value = table.get(key)
        if value is None:
            return default
        if value in {"0s", "0m", "0h"} and not least:
            return timedelta()
        try:
            span = duration(value) if isinstance(value, str) else None
        except ValueError as error:
            self._wrong(place or key, str(error))
            return default
        if span is None:
            self._wrong(place or key, f'expected a duration such as "4h", found {value}')
            return default
        if span < least:
            self._wrong(place or key, f"is at least {_span_text(least)}")
            return default
        return span

    def _clock(self, table: Mapping[str, Any], key: str, default: time) -> time:
        value = table.get(key)
        if value is None:
            return default
        try:
            return value if isinstance(value, time) else time.fromisoformat(value)
        except (TypeError, ValueError):
            self._wrong(f"working_hours.{key}", 'expected a time of day such as "08:00"')
            return default

    def _days(self, table: Mapping[str, Any], key: str) -> tuple[DayOff, ...]:
        rows = table.get(key, [])
        place = f"working_hours.{key}"
        if not isinstance(rows, list):
            self._wrong(place, "expected a list of days")
            return ()
        return tuple(day for row in rows if (day := self._day(row, place)) is not None)

    def _day(self, row: object, place: str) -> DayOff | None:
        """Read 2026-12-25, or {day = 2026-12-25, states = ["KDH"]}."""
        value = row.get("day") if isinstance(row, dict) else row
        names = row.get("states", []) if isinstance(row, dict) else []
        known = [state.value for state in State]
        for name in names if isinstance(names, list) else [names]:
            if name not in known:
                self._wrong(place, f"'{name}': unknown state{suggestion(str(name), known)}")
                return None
        try:
            day = value if isinstance(value, date) else date.fromisoformat(value)  # type: ignore[arg-type]  # tried
        except (TypeError, ValueError):
            self._wrong(place, f"expected a day such as 2026-12-25, found {value}")
            return None
        return DayOff(day=day, states=frozenset(State(name) for name in names))

    def _out_of_band(self, table: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for code, value in self._table(table, "out_of_band").items():
            addresses = [value] if isinstance(value, str) else value
            if isinstance(addresses, list) and all(isinstance(a, str) and is_mail_address(a) for a in addresses):
                found[code] = tuple(addresses)
            else:
                self._wrong(f"out_of_band.{code}", "expected one mail address, or a list of them")
        return found
