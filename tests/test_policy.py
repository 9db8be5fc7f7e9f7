"""Who is told of what: one table, each row a sentence."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from builders import NOW, account, agency, alert, finding

from alerts.policy import LADDER_KINDS, Plan, Policy, message_id, plan, plan_digest
from monitor.escalation import Escalation, Role, Step
from monitor.model import MALAYSIA, AlertKind, AlertState, Language, LastStep, Severity, Silence, State

HOUR = timedelta(hours=1)

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
            [("first", "alert", DEPUTY), ("security-team", "alert", TEAM)],
            "the head has no mail address",
            id="without the head's address the deputy is told, and the security team",
        ),
        pytest.param(
            alert(agency=people(head_email="", deputy_email="")),
            ALONE,
            [("first", "alert", ICTSO)],
            "ICTSO",
            id="then the ICTSO",
        ),
        pytest.param(
            alert(agency=NOBODY_THERE),
            POLICY,
            [("operators", "alert", OPS), ("security-team", "alert", TEAM)],
            "no contact of the agency",
            id="without any contact the operators and the security team are told",
        ),
        pytest.param(
            alert(agency=NOBODY_THERE),
            replace(POLICY, operators=()),
            [("security-team", "alert", TEAM)],
            "no contact of the agency",
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
            replace(BLIND, steps=1, recovered_at=NOW),
            POLICY,
            [("recovery", "recovery", HEAD), ("recovery", "recovery", TEAM), ("recovery", "recovery", OPS)],
            "recovered",
            id="those who were told of a blind account are told of its recovery",
        ),
        pytest.param(
            replace(BLIND, steps=1, recovered_at=NOW, state=AlertState.ACKNOWLEDGED),
            ALONE,
            [("recovery", "recovery", HEAD)],
            "recovered",
            id="also when it was acknowledged meanwhile",
        ),
        pytest.param(CREDENTIAL, POLICY, [("operators", "credential", OPS)], "operators", id="a dead token tells the operators"),
        pytest.param(
            replace(CREDENTIAL, steps=1, recovered_at=NOW), POLICY, [("recovery", "recovery", OPS)], "recovered", id="and them of its renewal"
        ),
        pytest.param(
            alert(kind=AlertKind.EVALUATION, severity=Severity.MEDIUM),
            POLICY,
            [("operators", "evaluation", OPS)],
            "operators",
            id="a post that could not be checked tells the operators",
        ),
        pytest.param(
            REFUSED,
            POLICY,
            [("operators", "dead_letter", OPS), ("security-team", "dead_letter", TEAM)],
            "operators and the security team",
            id="a refused mail tells the operators and the security team",
        ),
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
        plan(replace(BLIND, steps=1, recovered_at=NOW), POLICY, NOW),
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


# ---------------------------------------------------------------- the ladder

FRIDAY_NOON = datetime(2026, 11, 27, 4, 0, tzinfo=UTC)  # 12:00 in Putrajaya
COMMS = "komunikasi@jpd.example.my"
BOUNCED = LastStep(waiting=False, accepted_at=FRIDAY_NOON - HOUR, failed=True)


def climbed(told, now=FRIDAY_NOON, last=None, policy=POLICY):
    return plan(told, policy, now, last=last)


def local(moment):
    return f"{moment.astimezone(MALAYSIA):%a %d %b %H:%M}"


@pytest.mark.parametrize(
    ("what", "told", "again"),
    [
        pytest.param(alert(), [("first", "alert", HEAD)], "Fri 27 Nov 16:00", id="the head has four working hours"),
        pytest.param(
            alert(steps=1), [("step-2", "reminder", HEAD)], "Fri 27 Nov 16:00", id="and is reminded then"
        ),
        pytest.param(
            alert(steps=2),
            [("step-3", "escalation", DEPUTY), ("step-3", "escalation", ICTSO)],
            "Mon 30 Nov 11:00",
            id="then deputy and ICTSO are told; eight hours reach into Monday",
        ),
        pytest.param(alert(steps=3), [("step-4", "escalation", TEAM)], "Mon 30 Nov 08:00", id="then the security team"),
        pytest.param(alert(steps=4), [("step-5", "reminder", TEAM)], "Mon 30 Nov 08:00", id="again and again, on working days"),
        pytest.param(alert(steps=9), [("step-10", "reminder", TEAM)], "Mon 30 Nov 08:00", id="until somebody answers"),
        pytest.param(
            alert(steps=2, agency=people(deputy_email="", ictso_email="")),
            [("step-4", "escalation", TEAM)],
            "Mon 30 Nov 08:00",
            id="a step without anybody is passed over at once",
        ),
        pytest.param(
            alert(severity=Severity.CRITICAL),
            [("first", "alert", HEAD), ("first-second-contact", "alert", DEPUTY)],
            "Fri 27 Nov 12:30",
            id="a critical one waits half an hour of any time",
        ),
        pytest.param(
            alert(severity=Severity.CRITICAL, steps=1),
            [("step-2", "reminder", HEAD), ("step-2", "reminder", DEPUTY), ("step-2", "escalation", ICTSO)],
            "Fri 27 Nov 12:30",
            id="and then tells all of the agency",
        ),
        pytest.param(
            alert(severity=Severity.CRITICAL, steps=3), [("step-4", "reminder", TEAM)], "Sat 28 Nov 12:00", id="also at weekends"
        ),
        pytest.param(
            alert(round=1, reopened_for="the post is back"),
            [("round-2-first", "reopened", HEAD)],
            "Fri 27 Nov 16:00",
            id="one that is open again begins anew with the head",
        ),
        pytest.param(
            alert(kind=AlertKind.PROFILE, post=None, findings=()),
            [("first", "profile", HEAD)],
            "Fri 27 Nov 16:00",
            id="another name of an account is told to the head",
        ),
        pytest.param(
            replace(BLIND, steps=1),
            [("first-2", "blind", HEAD), ("security-team-2", "blind", TEAM), ("operators-2", "blind", OPS)],
            "Fri 04 Dec 12:00",
            id="what is still blind is told again after a week",
        ),
    ],
)  # fmt: skip
def test_the_next_step_of_an_alert_that_nobody_answered(what, told, again):
    decided = climbed(what)
    assert [(n.step, n.template, n.recipient) for n in decided.notifications] == told
    assert local(decided.next_action_at) == again
    assert decided.steps == (4 if what.steps == 2 and not what.agency.contacts.deputy_email else what.steps + 1)


def test_kedah_rests_on_friday_and_saturday():
    kedah = replace(people(), state=State.KDH)
    assert local(climbed(alert(agency=kedah)).next_action_at) == "Sun 29 Nov 12:00"


def test_a_policy_s_own_ladder_hours_and_second_way_are_followed():
    own = Escalation(
        critical_steps=(Step(to=(Role.COMMS,)),),
        out_of_band={"JPD": ("60123@sms.example.my",)},
        repeat=timedelta(hours=2),
    )
    told = climbed(
        alert(severity=Severity.CRITICAL, agency=people(comms_email=COMMS)), policy=replace(POLICY, escalation=own)
    )
    assert [(n.step, n.template, n.recipient) for n in told.notifications] == [
        ("first", "alert", COMMS),
        ("first-second-contact", "alert", DEPUTY),
        ("out-of-band", "out_of_band", "60123@sms.example.my"),
    ]
    assert told.next_action_at == FRIDAY_NOON + 2 * HOUR


@pytest.mark.parametrize(
    ("last", "steps", "again"),
    [
        pytest.param(LastStep(waiting=True, accepted_at=None, failed=False), 1, "Fri 27 Nov 12:05", id="a mail that has not left cannot be answered"),
        pytest.param(
            LastStep(waiting=False, accepted_at=FRIDAY_NOON - HOUR, failed=False),
            1,
            "Fri 27 Nov 15:00",
            id="the time to answer begins when the mail was accepted",
        ),
        pytest.param(
            LastStep(waiting=False, accepted_at=FRIDAY_NOON - 5 * HOUR, failed=False), 2, "Mon 30 Nov 08:00", id="and then the step is taken"
        ),
        pytest.param(BOUNCED, 2, "Mon 30 Nov 08:00", id="a mail that came back is waited for no longer"),
    ],
)  # fmt: skip
def test_nobody_is_passed_over_before_he_could_answer(last, steps, again):
    decided = climbed(alert(steps=1), last=last)
    assert decided.steps == steps
    assert bool(decided.notifications) == (steps == 2)


def test_an_address_that_refuses_its_mail_is_as_none_and_the_next_contact_stands_in():
    gone = LastStep(waiting=False, accepted_at=None, failed=True, refused=frozenset({HEAD}))
    told = climbed(alert(steps=1), last=gone)
    assert [(n.step, n.template, n.recipient) for n in told.notifications] == [("step-2", "escalation", DEPUTY)]
    nobody = replace(gone, refused=frozenset({HEAD, DEPUTY, ICTSO}))
    told = climbed(alert(steps=1), last=nobody)
    assert [(n.step, n.recipient) for n in told.notifications] == [("step-4", TEAM)]


def test_an_acknowledged_alert_is_open_again_when_its_deadline_has_passed():
    taken = alert(state=AlertState.ACKNOWLEDGED, owner="Siti", deadline=FRIDAY_NOON)
    assert climbed(taken, now=FRIDAY_NOON - HOUR) == Plan(reason="acknowledged", next_action_at=FRIDAY_NOON)
    late = climbed(taken)
    assert late.notifications == ()
    assert late.reopen == "the acknowledgement ran out (Siti)"


SILENCE = Silence(
    id=1, author="Siti", reason="latihan", created_at=NOW, expires_at=NOW + timedelta(days=1), account_id=7
)
OURS = alert(account=account(id=7))


@pytest.mark.parametrize(
    ("what", "silence", "silent"),
    [
        pytest.param(OURS, SILENCE, True, id="its account's alerts are silenced"),
        pytest.param(alert(account=account(id=8)), SILENCE, False, id="another account's are not"),
        pytest.param(replace(OURS, severity=Severity.CRITICAL), SILENCE, False, id="critical ones never are"),
        pytest.param(replace(OURS, steps=1), SILENCE, False, id="nor what was told already"),
        pytest.param(OURS, replace(SILENCE, rule="mampu-2009/3c/marking"), True, id="a rule narrows it"),
        pytest.param(OURS, replace(SILENCE, rule="mampu-2009/4/mykad"), False, id="another rule's alerts are told"),
        pytest.param(
            replace(OURS, findings=(finding(), finding("mampu-2009/4/mykad"))),
            replace(SILENCE, rule="mampu-2009/3c/marking"),
            False,
            id="as is what breaks another rule as well",
        ),
        pytest.param(replace(CREDENTIAL, account=account(id=7)), SILENCE, False, id="a dead credential is told"),
    ],
)
def test_what_a_silence_covers(what, silence, silent):
    assert (plan(what, POLICY, NOW, [silence]).silence is not None) == silent


def test_every_open_alert_has_a_next_action_or_a_reason_without_one():
    """I5."""
    for kind in set(AlertKind) - {AlertKind.CANARY}:
        for steps in (0, 1, 5):
            for severity in Severity:
                decided = plan(alert(kind=kind, steps=steps, severity=severity), POLICY, NOW)
                assert decided.reason
                if kind in LADDER_KINDS and severity.alerts:
                    assert decided.next_action_at > NOW
