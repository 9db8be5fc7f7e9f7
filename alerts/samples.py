"""Fictional cases, made up whole, so that every mail can be looked at before one is sent: `pantau mail preview`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from alerts.compose import compose_alert, compose_group, compose_test
from alerts.envelope import Envelope
from alerts.policy import mail_domain
from monitor.budget import CREDENTIAL, Forecast, next_month, written
from monitor.disclosure import profile_detail
from monitor.escalation import Role
from monitor.model import (
    Account,
    Agency,
    AgencyKind,
    Alert,
    AlertKind,
    AlertState,
    Cause,
    Clause,
    Contacts,
    Delivery,
    Disclosure,
    Finding,
    Language,
    Media,
    MediaKind,
    Post,
    Profile,
    Severity,
    State,
)

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)  # Tuesday noon in Malaysia
HEAD = "ketua@jpd.example.my"
CLAUSES = {
    "3b": Clause(
        instrument="mampu-2009",
        ref="3b",
        ms="sebarang bentuk maklumat yang dikongsi dan disebar melalui media sosial tidak menjejaskan kepentingan "
        "perkhidmatan awam dan kedaulatan negara",
        en="no information shared and spread through social media may harm the interests of the public service or the "
        "sovereignty of the nation",
    ),
    "3c": Clause(
        instrument="mampu-2009",
        ref="3c",
        ms="tidak melibatkan penyebaran maklumat dan dokumen terperinci",
        en="no spreading of detailed information and documents",
    ),
    "4": Clause(
        instrument="mampu-2009",
        ref="4",
        ms="Sebarang perbuatan mendedahkan maklumat jabatan adalah bertentangan dengan Pekeliling Am Bil. 3 Tahun 2000 "
        "iaitu Rangka Dasar Keselamatan Teknologi Maklumat dan Komunikasi dan juga Arahan Keselamatan.",
        en="Any act of disclosing departmental information is contrary to General Circular No. 3 of 2000, the "
        "Government's ICT Security Policy Framework, and to the Security Directive (Arahan Keselamatan).",
    ),
}
AGENCY = Agency(
    code="JPD",
    name="Jabatan Perkhidmatan Digital",
    kind=AgencyKind.DEPARTMENT,
    state=State.PJY,
    language=Language.MS,
    contacts=Contacts(
        head_salutation="Y.Bhg. Datuk",
        head_name="Datuk Aminah binti Osman",
        head_title="Ketua Pengarah",
        head_email=HEAD,
        deputy_email="timbalan@jpd.example.my",
        ictso_email="ictso@jpd.example.my",
    ),
)
ACCOUNTS = {
    "x": Account(id=1, agency="JPD", platform="x", handle="jpdmalaysia"),
    "facebook": Account(id=2, agency="JPD", platform="facebook", handle="jabatanperkhidmatandigital"),
    "myspace": Account(id=3, agency="JPD", platform="myspace", handle="jpdmalaysia"),
    "rss": Account(id=4, agency="JPD", platform="rss", handle="", url="https://www.jpd.example.my/berita/feed.xml"),
}
LINKS = {
    "x": "https://x.com/i/status/1859999999999999999",
    "facebook": "https://www.facebook.com/100000000000001/posts/200000000000002",
    "myspace": "https://myspace.com/jpdmalaysia/post/activity_profile_1",
    "rss": "https://www.jpd.example.my/berita/2026/11/notis-gangguan",
}
TOLD = (
    (NOW - timedelta(hours=27), HEAD),
    (NOW - timedelta(hours=20), HEAD),
    (NOW - timedelta(hours=3), "timbalan@jpd.example.my"),
)

Compose = Callable[[Language, Envelope], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One mail to look at. `template` is whose words it shows; a template may have several."""

    name: str
    template: str
    compose: Compose


def samples() -> tuple[Sample, ...]:
    """Return a mail of every template, and of the alert one for each platform and level of disclosure."""
    found = [
        _of_alert("alert", marking()),
        _of_alert("alert", phone(), name="alert-masked-facebook"),
        _of_alert("alert", hijack(), name="alert-hijacked-x"),
        _of_alert("alert", marking("rss"), name="alert-website"),
        _of_alert("alert", hijack("myspace"), name="alert-hijacked-myspace"),
        _of_alert("alert", replace(phone(), agency=None), name="alert-no-contact", step="operators"),
        _of_alert("reminder", _later(marking()), next_to=(Role.DEPUTY, Role.ICTSO), told=TOLD[:1]),
        _of_alert("escalation", _later(marking()), to="ictso@jpd.example.my", next_to=(Role.SECURITY_TEAM,), told=TOLD),
        _of_alert("reopened", replace(marking(), round=1, reopened_for="the post is back")),
        _of_alert("profile", renamed()),
        Sample(name="group", template="group", compose=lambda language, e: _group(language, e, several(12))),
        Sample(name="group-flood", template="group", compose=lambda language, e: _group(language, e, flood())),
        _of_alert("out_of_band", replace(hijack(), severity=Severity.CRITICAL), to="60120000000@sms.example.my"),
        _of_alert("blind", blind(), to="keselamatan@jdn.example.my", step="security-team"),
        _of_alert("recovery", replace(blind(), recovered_at=NOW)),
        _of_alert("credential", _operators(AlertKind.CREDENTIAL, "x: 401 Unauthorized"), step="operators"),
        _of_alert("forecast", _operators(AlertKind.FORECAST, written(SHORT)), step="operators"),
        _of_alert("forecast", _operators(AlertKind.FORECAST, written(ENDING)), name="forecast-ends", step="operators"),
        _of_alert("dead_letter", _operators(AlertKind.DEAD_LETTER, _REFUSAL), step="operators"),
        _of_alert("evaluation", unchecked(), step="operators"),
        _of_alert("canary", replace(marking(), kind=AlertKind.CANARY), to="pantau-ujian@jpd.example.my", step="canary"),
        _of_alert("canary_missing", _operators(AlertKind.CANARY_MISSING, CANARY_LATE), step="operators"),
        Sample(
            name="test", template="test", compose=lambda _, e: compose_test("pegawai@jpd.example.my", e, now=NOW)[1]
        ),
    ]
    return tuple(found)


SHORT = Forecast(
    platform="x",
    name="posts",
    limit=100_000,
    needed=158_000,
    spent=61_300,
    accounts=420,
    ends_at=NOW + timedelta(days=5),
    resets_at=next_month(NOW),
)
ENDING = Forecast(platform="facebook", name=CREDENTIAL, ends_at=NOW + timedelta(days=11))
CANARY_LATE = "not accepted by the mail server within an hour: its mail waits for the mail server"
_REFUSAL = "PTU-2026-000123 → timbalan@jpd.example.my: smtp.example.my:587: 550 5.1.1 no such user"


def marking(platform: str = "x") -> Alert:
    """A document with a marking, in the text and in a picture: nothing of it may leave."""
    finding = _finding("3c", "Penandaan dokumen terperingkat", "Classification marking")
    picture = replace(finding, field="picture:0", spans=())
    return _case(1, platform, "Minit mesyuarat …", (finding, picture), Severity.HIGH, Disclosure.NONE)


def phone() -> Alert:
    """A private number on the Facebook page: the mail shows where, with the number masked."""
    text = "Untuk pertanyaan lanjut sila WhatsApp Encik Zul di 012-345 6789 sebelum hari Jumaat. Terima kasih."
    span = (text.index("012"), text.index(" sebelum"))
    finding = _finding("4", "Nombor telefon peribadi", "A private telephone number", Severity.MEDIUM, span)
    return _case(
        2, "facebook", text, (replace(finding, disclosure=Disclosure.MASKED),), Severity.MEDIUM, Disclosure.MASKED
    )


def hijack(platform: str = "x") -> Alert:
    """A token sale in the agency's name, at night."""
    text = "BIG NEWS! $JPD token is live on Solana: https://jpd-airdrop.example/claim"
    finding = _finding("3b", "Akaun yang mungkin dirampas", "An account that may have been taken over")
    critical = replace(finding, severity=Severity.CRITICAL, disclosure=Disclosure.MASKED, spans=((0, 8),))
    return _case(3, platform, text, (critical,), Severity.CRITICAL, Disclosure.MASKED)


def renamed() -> Alert:
    """An account with a new name and picture."""
    before = Profile(
        native_id="1", name="Jabatan Perkhidmatan Digital", handle="jpdmalaysia", picture_url="https://a/1"
    )
    after = Profile(native_id="1", name="Shib", handle="shib_coin", picture_url="https://a/2")
    return _without_post(4, AlertKind.PROFILE, Severity.CRITICAL, detail=profile_detail(before, after))


def blind() -> Alert:
    """An account that has not been read for a day."""
    return replace(
        _without_post(5, AlertKind.BLIND, Severity.HIGH, detail="HTTP 404: user not found"),
        cause=Cause.NOT_FOUND,
        since=NOW - timedelta(hours=27),
    )


def unchecked() -> Alert:
    """A post on which a rule failed."""
    case = _case(6, "x", "…", (), Severity.HIGH, Disclosure.NONE)
    return replace(case, kind=AlertKind.EVALUATION, detail="RuntimeError in rule mampu-2009/4/mykad")


def several(count: int) -> tuple[Alert, ...]:
    """Cases of one account within minutes."""
    kinds = (marking("facebook"), phone(), hijack("facebook"))
    return tuple(_numbered(replace(kinds[number % 3], account=ACCOUNTS["facebook"]), number) for number in range(count))


def flood() -> tuple[Alert, ...]:
    """Far more cases than a mail has room for, on several accounts of an agency."""
    kinds = (hijack("x"), hijack("myspace"), phone())
    return tuple(_numbered(kinds[number % 3], number) for number in range(64))


def _numbered(alert: Alert, number: int) -> Alert:
    at = NOW - timedelta(minutes=64 - number)
    assert alert.post is not None
    return replace(
        alert, id=100 + number, case=f"PTU-2026-{number + 123:06d}", post=replace(alert.post, published_at=at)
    )


def _finding(ref: str, ms: str, en: str, severity: Severity = Severity.HIGH, span: tuple[int, int] = (0, 5)) -> Finding:
    return Finding(
        rule=f"mampu-2009/{ref}/sample",
        rule_version=1,
        title_ms=ms,
        title_en=en,
        clause=CLAUSES[ref],
        severity=severity,
        disclosure=Disclosure.NONE,
        field="text",
        spans=(span,),
    )


def _case(
    number: int,
    platform: str,
    text: str,
    findings: tuple[Finding, ...],
    severity: Severity,
    disclosure: Disclosure,
) -> Alert:
    post = Post(
        native_id=str(number),
        url=LINKS[platform],
        published_at=NOW - timedelta(minutes=7),
        text=text,
        media=(Media(kind=MediaKind.PICTURE, url="https://pictures.example/1.jpg"),),
    )
    return Alert(
        id=number,
        case=f"PTU-2026-{122 + number:06d}",
        key=f"sample:{number}",
        kind=AlertKind.POST,
        state=AlertState.OPEN,
        severity=severity,
        disclosure=disclosure,
        opened_at=NOW,
        agency=AGENCY,
        account=ACCOUNTS[platform],
        post=post,
        findings=findings,
        next_action_at=NOW + timedelta(hours=4),
    )


def _without_post(number: int, kind: AlertKind, severity: Severity, *, detail: str) -> Alert:
    case = _case(number, "x", "", (), severity, Disclosure.MASKED)
    return replace(case, kind=kind, post=None, detail=detail)


def _operators(kind: AlertKind, detail: str) -> Alert:
    case = replace(_without_post(7, kind, Severity.HIGH, detail=detail), cause=Cause.CREDENTIAL, since=NOW)
    platform_wide = kind in {AlertKind.CREDENTIAL, AlertKind.FORECAST}
    return replace(case, agency=None, account=None) if platform_wide else replace(case, since=None)


def _later(alert: Alert) -> Alert:
    """The same alert a day after it was opened."""
    assert alert.post is not None
    opened = NOW - timedelta(hours=27)
    return replace(alert, opened_at=opened, post=replace(alert.post, published_at=opened - timedelta(minutes=7)))


def _of_alert(
    template: str,
    alert: Alert,
    *,
    name: str = "",
    to: str = HEAD,
    step: str = "first",
    next_to: tuple[Role, ...] = (Role.HEAD,),
    told: tuple[tuple[datetime, str], ...] = (),
) -> Sample:
    def compose(language: Language, envelope: Envelope) -> bytes:
        delivery = delivery_of(template, language, to, step, envelope)
        return compose_alert(alert, delivery, envelope, now=NOW, told=told, next_to=next_to)

    return Sample(name=name or template, template=template, compose=compose)


def _group(language: Language, envelope: Envelope, alerts: tuple[Alert, ...]) -> bytes:
    return compose_group(alerts, delivery_of("group", language, HEAD, "first", envelope), envelope, now=NOW)


def delivery_of(
    template: str, language: Language, to: str, step: str, envelope: Envelope, *, period: str = ""
) -> Delivery:
    return Delivery(
        id=0,
        fence=0,
        alert_id=None if period else 1,
        period=period,
        step=step,
        template=template,
        recipient=to,
        language=language,
        message_id=f"<pantau.preview.{template}@{mail_domain(envelope.sender)}>",
        attempts=0,
        rendered=None,
    )
