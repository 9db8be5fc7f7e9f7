"""`alerts show`: a case file that a person reads from top to bottom."""

from datetime import timedelta

import pytest
from builders import NOW, alert

from monitor.budget import Forecast, written
from monitor.cli.case import case_file
from monitor.model import AlertKind, AlertState, Cause, Removal, Resolution


def lines_of(**changes):
    return list(case_file(alert(**changes), (), ()))


RESOLVED = {
    "state": AlertState.RESOLVED,
    "resolution": Resolution.POST_REMOVED,
    "resolved_at": NOW,
    "owner": "Siti",
    "waiting_reason": "resolved: post removed",
}
BARE = {"agency": None, "account": None, "post": None, "findings": ()}
SHORT = written(Forecast(platform="threads", name="units a day", limit=41.6, needed=720.0, accounts=1))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        pytest.param(
            {"state": AlertState.OPEN, "waiting_reason": "first mail to the head"},
            "state      open: first mail to the head",
            id="an open case says what it waits for",
        ),
        pytest.param(
            {"state": AlertState.ACKNOWLEDGED, "owner": "Siti", "deadline": NOW, "note": "esok"},
            "state      acknowledged by Siti, to be resolved by 2026-11-24 12:00: “esok”",
            id="a case in hand says whose, and by when",
        ),
        pytest.param(
            RESOLVED | {"removal": Removal.REPORTED},
            "state      resolved: post removed, 2026-11-24 12:00, by Siti; its deletion was not seen yet",
            id="a removal that was only reported says so",
        ),
        pytest.param(
            RESOLVED | {"removal": Removal.CONFIRMED, "resolution_note": "maaf"},
            "state      resolved: post removed, 2026-11-24 12:00, by Siti: “maaf”; deletion seen",
            id="a removal that was seen says so",
        ),
        pytest.param(
            BARE | {"kind": AlertKind.FORECAST, "cause": Cause.RATE_LIMIT, "detail": SHORT},
            "forecast   units: 720 an hour are needed to read one account as promised, 42 are allowed",
            id="a forecast is a sentence, not its figures",
        ),
        pytest.param(
            {"kind": AlertKind.PROFILE, "detail": "name: Jabatan → Shib\npicture: changed"},
            "name       Jabatan → Shib",
            id="a changed profile shows what it was",
        ),
    ],
)
def test_how_a_case_stands_is_a_sentence(changes, line):
    assert line in lines_of(**changes)


def test_what_is_not_known_takes_no_line():
    lines = lines_of(**BARE, next_action_at=NOW + timedelta(hours=1))
    assert [one.split()[0] for one in lines if one][1:] == ["opened", "state", "next", "Mails", "none", "What"]
