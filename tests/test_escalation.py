"""config/policy.toml: what it may say, and what is said of its mistakes."""

from datetime import date, time, timedelta
from pathlib import Path

import pytest

from monitor.escalation import DayOff, Escalation, Role, Step, escalation_of, read_escalation
from monitor.model import State

SHIPPED = Path(__file__).parent.parent / "config"


def read(folder, text):
    (folder / "policy.toml").write_text(text, encoding="utf-8")
    problems = []
    return read_escalation(folder, problems), [str(problem).partition("policy.toml: ")[2] for problem in problems]


def test_the_shipped_file_says_what_holds_without_it():
    problems = []
    assert read_escalation(SHIPPED, problems) == Escalation()
    assert problems == []


def test_a_whole_policy_is_read(tmp_path):
    policy, problems = read(
        tmp_path,
        """
repeat = "12h"
acknowledged_for = "2d"
[[step]]
to = ["head", "comms"]
[[step]]
to = ["security-team"]
after = "30m"
[[critical.step]]
to = ["operators"]
[working_hours]
from = "09:00"
to = 16:30:00
off = [2026-12-24, {day = 2026-12-26, states = ["KDH", "KTN"]}]
worked = ["2026-12-27"]
[out_of_band]
KKM = "60123@sms.example.my"
JPD = ["a@b.my", "c@d.my"]
""",
    )
    assert problems == []
    assert policy == Escalation(
        steps=(Step(to=(Role.HEAD, Role.COMMS)), Step(to=(Role.SECURITY_TEAM,), after=timedelta(minutes=30))),
        critical_steps=(Step(to=(Role.OPERATORS,)),),
        repeat=timedelta(hours=12),
        acknowledged_for=timedelta(days=2),
        hours_from=time(9),
        hours_to=time(16, 30),
        days_off=(
            DayOff(day=date(2026, 12, 24)),
            DayOff(day=date(2026, 12, 26), states=frozenset({State.KDH, State.KTN})),
        ),
        days_worked=(DayOff(day=date(2026, 12, 27)),),
        out_of_band={"KKM": ("60123@sms.example.my",), "JPD": ("a@b.my", "c@d.my")},
    )
    assert escalation_of(policy.as_json()) == policy
    assert escalation_of(policy.as_json()).hash == policy.hash != Escalation().hash


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps = 1", "steps: unknown key; did you mean step?"),
        ("step = []", "step: expected at least one [[step]]"),
        ('[[step]]\nto = ["haed"]', "step[1].to: 'haed': unknown role; did you mean head?"),
        ('[[step]]\nto = "head"', 'step[1].to: expected a list of roles such as ["head"]'),
        ('[[step]]\nto = ["head"]\nafter = "soon"', "step[1].after: 'soon': expected a duration"),
        ('[[step]]\nto = ["head"]\nafter = 4', 'step[1].after: expected a duration such as "4h", found 4'),
        ('[[critical.step]]\nto = ["head"]\nwhen = "4h"', "critical.step[1].when: unknown key"),
        ('repeat = "5s"', "repeat: is at least 60s"),
        ('[working_hours]\nfrom = "17:00"\nto = "08:00"', "working_hours.to: is not after working_hours.from"),
        ('[working_hours]\nfrom = "eight"', 'working_hours.from: expected a time of day such as "08:00"'),
        ('[working_hours]\noff = ["24/12"]', "working_hours.off: expected a day such as 2026-12-25, found 24/12"),
        (
            '[working_hours]\noff = [{day = 2026-12-24, states = ["KED"]}]',
            "working_hours.off: 'KED': unknown state; did you mean",
        ),
        ('[out_of_band]\nKKM = "nobody"', "out_of_band.KKM: expected one mail address, or a list of them"),
        ("out_of_band = 1", "out_of_band: expected a section [out_of_band]"),
    ],
)
def test_a_mistake_names_its_place_and_remedy(tmp_path, text, said):
    _, problems = read(tmp_path, text)
    assert len(problems) == 1
    assert problems[0].startswith(said)


def test_all_mistakes_are_told_at_once(tmp_path):
    _, problems = read(tmp_path, 'steps = 1\nrepeat = "soon"\n[working_hours]\nfrom = 8\n')
    assert len(problems) == 3


def test_a_file_that_is_no_toml_is_named(tmp_path):
    (tmp_path / "policy.toml").write_text("[[", encoding="utf-8")
    problems = []
    assert read_escalation(tmp_path, problems) == Escalation()
    assert "policy.toml: cannot be read" in str(problems[0])
