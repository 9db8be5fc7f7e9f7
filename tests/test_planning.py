"""Which alerts share a mail, and which wait for others."""

from datetime import timedelta

import pytest
from builders import NOW, account, agency, alert
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.planning import CASES_OF_A_MAIL, Grouping, Planned, gathered
from alerts.policy import Policy, plan
from monitor.model import Severity
from monitor.store.plans import FirstMail

POLICY = Policy(instance="i", sender_domain="example.my", security_team=("pasukan@csirt.example.my",))
TOLD = FirstMail(agency="JPD", account_id=7, at=NOW - timedelta(seconds=5))


def due(number, holder=7, **changes):
    what = alert(id=number, case=f"PTU-2026-{number:06d}", key=f"post:{number}", account=account(id=holder), **changes)
    return Planned(alert=what, plan=plan(what, POLICY, NOW))


def mails(decided, recent=(), **grouping):
    """Return for each mail the alerts it is about."""
    groups = gathered(decided, recent, Grouping(**grouping), NOW)
    return [(one.alert.id, *mail.also_about) for group in groups for one in group for mail in one.plan.notifications]


def test_alerts_of_one_account_that_are_due_together_share_a_mail():
    assert mails([due(1), due(2), due(3, holder=8)]) == [(1, 2), (3,)]


def test_the_strongest_leads():
    assert mails([due(1, severity=Severity.MEDIUM), due(2), due(3)]) == [(2, 3, 1)]


def test_after_a_first_mail_the_next_of_the_account_wait_for_the_interval():
    (group,) = gathered([due(1)], [TOLD], Grouping(), NOW)
    assert group[0].plan.notifications == ()
    assert group[0].plan.next_action_at == TOLD.at + Grouping().interval
    assert group[0].plan.steps == 0


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(due(1, severity=Severity.CRITICAL), id="critical"),
        pytest.param(due(1, holder=8), id="of another account"),
        pytest.param(due(1, round=1), id="open again"),
        pytest.param(due(1, steps=1), id="a reminder"),
    ],
)
def test_others_do_not_wait(one):
    assert len(mails([one], [TOLD])) >= 1


def test_at_once_nothing_waits_and_each_has_its_own_mail():
    assert mails([due(1), due(2)], [TOLD], at_once=True) == [(1,), (2,)]


def test_a_flood_is_gathered_over_all_accounts_of_the_agency():
    """Fault 25."""
    many = [due(n, holder=n) for n in range(1, 12)]
    assert len(mails(many, flood_limit=11)) == 11
    assert mails(many, flood_limit=10) == [tuple(range(1, 12))]
    assert mails(many, flood_limit=10, at_once=True) == [tuple(range(1, 12))]


def test_a_flood_of_one_agency_leaves_the_others_alone():
    other = agency("LAIN")
    many = [due(n, holder=n) for n in range(1, 12)] + [
        due(20, holder=20, agency=other),
        due(21, holder=21, agency=other),
    ]
    assert mails(many, flood_limit=10) == [tuple(range(1, 12)), (20,), (21,)]


def test_contacts_of_different_days_get_different_mails():
    before = agency(head_email="dahulu@jpd.example.my")
    assert mails([due(1), due(2, agency=before)]) == [(1,), (2,)]


@settings(deadline=None)
@given(st.integers(1, 3 * CASES_OF_A_MAIL), st.integers(1, 5), st.booleans(), st.integers(1, 300))
def test_every_alert_stands_in_exactly_one_mail(number, accounts, at_once, limit):
    decided = [due(n, holder=n % accounts) for n in range(1, number + 1)]
    told = [case for mail in mails(decided, at_once=at_once, flood_limit=limit) for case in mail]
    assert sorted(told) == list(range(1, number + 1))
