"""Who is told of what: one table, each row a sentence."""

from dataclasses import replace

import pytest
from builders import NOW, agency, alert

from alerts.policy import Policy, message_id, plan, plan_digest
from monitor.model import AlertKind, AlertState, Language, Severity

HEAD, DEPUTY, ICTSO = "ketua@jpd.example.my", "timbalan@jpd.example.my", "ictso@jpd.example.my"
TEAM, OPS = "pasukan@csirt.example.my", "ops@jdn.example.my"
POLICY = Policy(instance="i", sender_domain="example.my", security_team=(TEAM,), operators=(OPS,))
ALONE = replace(POLICY, security_team=(), operators=())


def people(**changes):
    return agency("JPD", **changes)


NOBODY_THERE = people(head_email="", deputy_email="", ictso_email="")
BLIND = alert(kind=AlertKind.BLIND, severity=Severity.MEDIUM, post=None, findings=())
CREDENTIAL = alert(kind=AlertKind.CREDENTIAL, agency=None, account=None, post=None, findings=())
REFUSED = alert(kind=AlertKind.DEAD_LETTER, detail=f"PTU-2026-000007 → {HEAD}: 550 no such user")
REFUSED_OPS = replace(REFUSED, detail=f"PTU-2026-000007 → {OPS.upper()}: 550 no such user")


@pytest.mark.parametrize(
    ("what", "policy", "told", "why"),
    [
        pytest.param(alert(), POLICY, [("first", "alert", HEAD)], "first mail to the head", id="a post tells the head alone"),
        pytest.param(
            alert(severity=Severity.MEDIUM), POLICY, [("first", "alert", HEAD)], "head", id="so does one of medium severity"
        ),
        pytest.param(
            alert(severity=Severity.CRITICAL),
            POLICY,
            [("first", "alert", HEAD), ("first-second-contact", "alert", DEPUTY)],
            "critical: also to the deputy",
            id="a critical post tells the second contact as well",
        ),
        pytest.param(
            alert(severity=Severity.CRITICAL, agency=people(deputy_email="", ictso_email=HEAD.upper())),
            POLICY,
            [("first", "alert", HEAD)],
            "no second contact",
            id="the same person under two titles is told once",
        ),
        pytest.param(
            alert(agency=people(head_email="")),
            POLICY,
            [("first", "alert", DEPUTY)],
            "the head has no mail address",
            id="without the head's address the deputy is told",
        ),
        pytest.param(
            alert(agency=people(head_email="", deputy_email="")), POLICY, [("first", "alert", ICTSO)], "ICTSO", id="then the ICTSO"
        ),
        pytest.param(
            alert(agency=NOBODY_THERE),
            POLICY,
            [("operators", "alert", OPS)],
            "no contact of the agency",
            id="without any contact the operators are told",
        ),
        pytest.param(
            alert(agency=NOBODY_THERE),
            replace(POLICY, operators=()),
            [("security-team", "alert", TEAM)],
            "no operator can be told",
            id="without operators the security team is",
        ),
        pytest.param(alert(agency=NOBODY_THERE), ALONE, [], "set operators.recipients", id="without anybody it says what to configure"),
        pytest.param(alert(severity=Severity.LOW), POLICY, [], "digest only", id="a low one waits for the digest"),
        pytest.param(
            alert(kind=AlertKind.BACKLOG), POLICY, [], "never mailed", id="the back catalogue is never mailed"
        ),
        pytest.param(
            alert(state=AlertState.ACKNOWLEDGED), POLICY, [], "acknowledged", id="an acknowledged alert tells nobody any more"
        ),
        pytest.param(alert(state=AlertState.RESOLVED), POLICY, [], "resolved", id="nor does a resolved one"),
        pytest.param(alert(state=AlertState.SUPPRESSED), POLICY, [], "suppressed", id="nor a suppressed one"),
        pytest.param(
            BLIND,
            POLICY,
            [("first", "blind", HEAD), ("security-team", "blind", TEAM), ("operators", "blind", OPS)],
            "the agency, the security team and the operators",
            id="a blind account tells agency, security team and operators",
        ),
        pytest.param(
            BLIND,
            replace(POLICY, operators=(HEAD.upper(), TEAM)),
            [("first", "blind", HEAD), ("security-team", "blind", TEAM)],
            "the agency",
            id="somebody with two roles is told once",
        ),
        pytest.param(
            replace(BLIND, recovered_at=NOW),
            POLICY,
            [("recovery", "recovery", HEAD), ("recovery", "recovery", TEAM), ("recovery", "recovery", OPS)],
            "recovered",
            id="those who were told of a blind account are told of its recovery",
        ),
        pytest.param(
            replace(BLIND, recovered_at=NOW, state=AlertState.ACKNOWLEDGED),
            ALONE,
            [("recovery", "recovery", HEAD)],
            "recovered",
            id="also when it was acknowledged meanwhile",
        ),
        pytest.param(CREDENTIAL, POLICY, [("operators", "credential", OPS)], "operators", id="a dead token tells the operators"),
        pytest.param(
            replace(CREDENTIAL, recovered_at=NOW), POLICY, [("recovery", "recovery", OPS)], "recovered", id="and them of its renewal"
        ),
        pytest.param(
            alert(kind=AlertKind.EVALUATION, severity=Severity.MEDIUM),
            POLICY,
            [("operators", "evaluation", OPS)],
            "operators",
            id="a post that could not be checked tells the operators",
        ),
        pytest.param(REFUSED, POLICY, [("operators", "dead_letter", OPS)], "operators", id="a refused mail tells the operators"),
        pytest.param(
            REFUSED_OPS,
            POLICY,
            [("security-team", "dead_letter", TEAM)],
            "security team",
            id="a mail refused by the operators' address goes another way",
        ),
        pytest.param(
            REFUSED, ALONE, [("first", "dead_letter", DEPUTY)], "another contact", id="and without a team to another contact"
        ),
        pytest.param(
            replace(REFUSED, agency=None), ALONE, [], "set operators.recipients", id="or to nobody, and says what to configure"
        ),
    ],
)  # fmt: skip
def test_who_is_told(what, policy, told, why):
    decided = plan(what, policy, NOW)
    assert [(n.step, n.template, n.recipient) for n in decided.notifications] == told
    assert why in decided.reason
    assert decided.next_action_at is None
    assert len({n.message_id for n in decided.notifications}) == len(told)


def test_the_agency_is_written_to_in_its_language_and_the_team_in_the_digest_s():
    english = replace(POLICY, team_language=Language.EN)
    assert [n.language.value for n in plan(BLIND, english, NOW).notifications] == ["ms", "en", "en"]


def test_the_same_step_to_the_same_person_always_has_the_same_message_id():
    first, again = (plan(alert(), POLICY, now).notifications[0].message_id for now in (NOW, NOW.replace(year=2030)))
    assert first == again
    assert first.startswith("<pantau.")
    assert first.endswith("@example.my>")


@pytest.mark.parametrize(
    "other",
    [
        plan(alert(key="post:1:2:0123456789abcdef"), POLICY, NOW),
        plan(alert(), replace(POLICY, instance="j"), NOW),
        plan(alert(agency=people(head_email="baharu@jpd.example.my")), POLICY, NOW),
        plan(replace(BLIND, recovered_at=NOW), POLICY, NOW),
    ],
    ids=["another post", "another installation", "another person", "another step"],
)
def test_message_ids_differ_for(other):
    assert other.notifications[0].message_id != plan(alert(), POLICY, NOW).notifications[0].message_id


def test_parts_of_a_message_id_cannot_run_into_each_other():
    assert message_id(POLICY, "ab", "c") != message_id(POLICY, "a", "bc")


def test_the_digest_goes_to_each_recipient_once():
    several = replace(POLICY, security_team=(TEAM, OPS, TEAM.upper()))
    told = plan_digest("2026-W47", several)
    assert [(n.step, n.template, n.recipient) for n in told] == [("digest", "digest", TEAM), ("digest", "digest", OPS)]
    assert told[0].message_id != plan_digest("2026-W48", several)[0].message_id


def test_a_mail_keeps_its_message_id_when_a_restore_has_counted_the_cases_anew():
    first, again = (plan(alert(case=case), POLICY, NOW) for case in ("PTU-2026-000002", "PTU-2026-000003"))
    assert first.notifications[0].message_id == again.notifications[0].message_id
