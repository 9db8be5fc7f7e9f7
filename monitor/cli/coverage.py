"""coverage: what of each account was read, and every gap with its cause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from monitor.cli.root import AsJson, OfAgency, app, bad, begun, listing, registered_agency, settings_alone
from monitor.cli.terminal import out, print_rows, shown_time
from monitor.model import AccountStatus, Language, Verdict
from monitor.reports import AccountWeek
from monitor.store.coverage import coverage_of

GAPS_SHOWN = 3  # of an account in the table; --json prints all


@app.command()
def coverage(
    as_json: AsJson = False,
    agency: OfAgency = "",
    days: Annotated[int | None, typer.Option(min=1, help="How far back; default: 7.")] = None,
    week: Annotated[str, typer.Option(help="This ISO week, such as 2026-W47, instead of --days.")] = "",
) -> None:
    """Show for each account what was read, and every gap with its cause. `certificate issue` makes a page of it."""
    from monitor.app.reports import degraded_platforms
    from monitor.store.register import registered

    start, end = _stretch(days, week)
    polling = settings_alone().polling
    weeks: list[AccountWeek] = []
    with listing() as db:
        code = registered_agency(db, agency)
        if db is not None:
            weeks = coverage_of(
                db,
                start=start,
                end=end,
                patience=polling.patience,
                degraded=degraded_platforms(registered(db)),
                agency=code,
            )
    if not week:  # how it stands, not how it was: without what was retired meanwhile
        weeks = [one for one in weeks if one.account.status is AccountStatus.ACTIVE]
    rows = [_coverage_row(one) for one in weeks]
    if as_json:
        print_rows(rows, True, ())
        return
    shown = [row | {"covered": _share(one), "gaps": _gaps(one)} for row, one in zip(rows, weeks, strict=True)]
    print_rows(shown, False, ("agency", "platform", "account", "verdict", "covered", "gaps"))
    for line in _totals(weeks):
        out.print(line)


def _stretch(days: int | None, week: str) -> tuple[datetime, datetime]:
    """Return what is to be shown: the last days, or an ISO week in Malaysian time as far as it has come."""
    from alerts.digest import iso_week

    now = datetime.now(UTC)
    if not week:
        return now - timedelta(days=days or 7), now
    if days is not None:
        raise bad("--week and --days: choose one of the two")
    start, end = begun("--week", week, iso_week)
    return start, min(end, now)


def _share(week: AccountWeek) -> str:
    """Return the share read, rounded down: a gap is never rounded away."""
    return "100 %" if week.verdict is Verdict.FULL else f"{min(int(week.covered * 1000), 999) / 10:.1f} %"


def _gaps(week: AccountWeek) -> list[str]:
    """Return the longest gaps with their causes and lengths, and how many more there are."""
    from alerts.wording import span

    longest = sorted(week.gaps, key=lambda gap: -gap.length)[:GAPS_SHOWN]
    named = [
        f"{gap.cause.value if gap.cause else 'unknown'} {span(gap.length, Language.EN)} "
        f"since {shown_time(gap.start.isoformat())}"
        for gap in sorted(longest, key=lambda gap: gap.start)
    ]
    more = len(week.gaps) - len(longest)
    return [*named, *([f"and {more} more"] if more else []), *_against_its_history(week)]


def _against_its_history(week: AccountWeek) -> Iterator[str]:
    """Yield what is odd about an account that was read."""
    if (silent := week.silent) is not None:
        usual = f"it posted on {silent.active} of {silent.of} days before"
        yield f"nothing new for {silent.days} days, since {shown_time(silent.since.isoformat())}: {usual}"
    if week.vanished:
        yield f"all of its {week.vanished} recent posts were deleted"


def _totals(weeks: Sequence[AccountWeek]) -> Iterator[str]:
    """Yield one line an agency: how many of its accounts were wholly read, and what is missing."""
    from alerts.wording import span

    by_agency: dict[str, list[AccountWeek]] = {}
    for one in weeks:
        by_agency.setdefault(one.account.agency, []).append(one)
    for code, own in by_agency.items():
        full = sum(one.verdict is Verdict.FULL for one in own)
        blind = sum(one.verdict is Verdict.BLIND for one in own)
        lost = sum((gap.length for one in own for gap in one.gaps), timedelta())
        words = [f"{full} of {len(own)} accounts fully monitored"]
        words += [f"{blind} blind"] if blind else []
        silent = sum(one.silent is not None for one in own)
        words += [f"{silent} silent against their own history"] if silent else []
        words += [f"{span(lost, Language.EN)} not read in all"] if lost else []
        yield f"{code}: {', '.join(words)}"


def _coverage_row(week: AccountWeek) -> dict[str, Any]:
    return {
        "agency": week.account.agency,
        "platform": week.account.platform,
        "account": week.account.handle or week.account.url,
        "verdict": week.verdict.value,
        "covered": round(week.covered, 6),
        "gaps": [
            {"from": g.start.isoformat(), "to": g.end.isoformat(), "cause": g.cause.value if g.cause else None}
            for g in week.gaps
        ],
        **({"silent_since": week.silent.since.isoformat()} if week.silent else {}),
        **({"vanished": week.vanished} if week.vanished else {}),
    }
