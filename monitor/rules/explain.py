"""A rule in plain words, and why it fires on a text or stays quiet. Pure, but for the rule's file, which is read again.

The words are data in two languages, so that the command line and the page say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from monitor.model import PROFILE_FIELDS, Finding, Language, Severity, Subject
from monitor.rules import conditions
from monitor.rules.conditions import Condition
from monitor.rules.evaluate import evaluate, judge, part_matches
from monitor.rules.history import EXAMPLE_AT, NOWHERE, History
from monitor.rules.opinion import Opinion, View
from monitor.rules.rule import SCOPES, OpinionUse, Rule, RuleSet, Shift, Status
from monitor.rules.source import Source, texts
from monitor.rules.text import Span, Text

SHOWN_WORDS = 12
SHOWN_MATCHES = 4
LONGEST_MATCH = 60
LONGEST_PATTERN = 120

MS: Mapping[str, str] = {
    "and": "dan",
    "or": "atau",
    "more": "dan {n} lagi",
    "either": "Salah satu daripada yang berikut:",
    "times": "{part} sekurang-kurangnya {n} kali",
    "near": "{left} paling jauh {n} aksara dari {right}",
    "not": "tanpa {part}",
    "words": "Perkataan: {words}.",
    "pattern": "Corak: {pattern}",
    "exact": "Huruf besar dan kecil mesti sama.",
    "disguised": "Juga apabila disamarkan (s u l i t, 5ulit, suuulit).",
    "as_in": "Contoh daripada ujian: {words}.",
    "steps": "{by} tahap",
    "anywhere": "di mana-mana dalam teks",
    "within": "dalam {n} aksara dari padanan",
    "text": "teks hantaran",
    "picture": "teks dalam gambar",
    "document": "teks dalam dokumen",
    "platform": "platform",
    "agency_kind": "jenis agensi",
    "kind": "jenis hantaran",
    "language": "bahasa",
    "draft": "draf: diuji, tidak digunakan pada hantaran",
    "shadow": "percubaan: dikira dalam ringkasan mingguan, tiada makluman dihantar",
    "live": "berkuat kuasa",
    "retired": "ditamatkan",
    "low": "rendah: ringkasan mingguan sahaja",
    "ignored": "",
    "lifts": "; pendapat kedua boleh menaikkannya kepada sederhana",
    "confirms": "; rendah jika pendapat kedua tidak bersetuju",
    "doubts": "; rendah jika pendapat kedua hampir pasti hantaran itu biasa",
    "decides": "; ditemui hanya jika pendapat kedua bersetuju, lalu menjadi sederhana",
    "h_opinion": "Pendapat kedua: {sure} % yakin, perenggan {clause}; diambil kira mulai {lift} % bagi perenggan itu",
    "h_voice": "Bunyi seperti halaman pejabat: {voice} %; biasanya perlu {least} %",
    "h_weighed": "Kerana itu: {after}, bukan {before}",
    "h_speaking": "Perkataan yang paling menyokongnya: {words}",
    "medium": "sederhana: ketua jabatan diberitahu melalui e-mel",
    "high": "tinggi: ketua jabatan diberitahu melalui e-mel",
    "critical": "kritikal: e-mel serta-merta, pada bila-bila masa, juga kepada orang kedua",
    "none": "e-mel tidak mengandungi apa-apa teks hantaran",
    "masked": "e-mel mengandungi petikan dengan padanan ditutup",
    "full": "e-mel mengandungi petikan",
    "mykad": "Nombor kad pengenalan (MyKad) dengan tarikh dan kod tempat yang sah.",
    "file-reference": "Rujukan fail kerajaan, seperti JKR.HQ(S) 100-4/2/1 Jld.3 (22).",
    "mobile-number": "Nombor telefon bimbit Malaysia.",
    "secret": "Kunci, token, atau kata laluan yang ditulis bersama nilainya.",
    "private-address": "Alamat IP rangkaian dalaman.",
    "passport": "Nombor pasport, disebut sebagai pasport.",
    "service-number": "Nombor anggota tentera atau polis, disebut sebagai nombor badan.",
    "tin": "Nombor cukai (TIN).",
    "phone-number": "Nombor telefon, bimbit atau talian tetap, yang bukan talian awam.",
    "internal-host": "Nama pelayan atau alamat sistem dalaman.",
    "bank-account": "Nombor akaun bank.",
    "home-address": "Alamat rumah seseorang.",
    "car-plate": "Nombor pendaftaran kenderaan, disebut sebagai kenderaan.",
    "person-name": "Nama penuh seseorang.",
    "person-list": "Senarai beberapa nama orang.",
    "private-email": "Alamat e-mel peribadi.",
    "domains": "Pautan ke: {words}.",
    "same-text": "Teks yang sama pada {accounts} akaun berdaftar atau lebih ({agencies} agensi) dalam {within}.",
    "posts": "Sekurang-kurangnya {at_least} hantaran akaun ini dalam {within}.",
    "unusual-hour": "Waktu yang akaun ini hampir tidak pernah membuat hantaran.",
    "new-domain": "Pautan ke domain yang belum pernah dipautkan oleh akaun ini.",
    "profile-changed": "Profil akaun berubah ({fields}) dalam {within}.",
    "other-language": "Bahasa yang hampir tidak pernah digunakan oleh akaun ini.",
    "profile_name": "nama",
    "profile_handle": "nama pengguna",
    "profile_picture": "gambar",
    "profile_bio": "keterangan",
    "link": "Pautan.",
    "short-link": "Pautan yang dipendekkan.",
    "look-alike-link": "Pautan yang menyerupai laman kerajaan atau laman yang dikenali.",
    "h_clause": "Perenggan {clause}",
    "h_status": "Status",
    "h_severity": "Tahap",
    "h_disclosure": "Pendedahan",
    "h_looks_at": "Membaca",
    "h_only_for": "Hanya untuk",
    "h_fires_when": "Dikesan apabila",
    "h_parts": "Bahagian",
    "h_graver": "Lebih berat apabila ada",
    "h_lighter": "Lebih ringan apabila ada",
    "h_exceptions": "Pengecualian",
    "h_exception": "{covers} — {reason}; pemilik {owner}; sehingga {expires}",
    "h_fires_on": "Ujian: mesti dikesan",
    "h_quiet_on": "Ujian: tidak boleh dikesan",
    "h_file": "Fail",
    "version": "versi {n}",
    "fires": "DIKESAN: tahap {severity}",
    "quiet": "TIDAK DIKESAN",
    "no_match": "tiada padanan",
    "excused": "dikecualikan oleh {name}",
    "met": "ya",
    "unmet": "tidak",
    "lighter_left_nothing": "syarat dipenuhi, tetapi perkataan yang meringankan tidak meninggalkan apa-apa",
    "unmet_why": "syarat tidak dipenuhi",
    "not_used": "peraturan ini tidak digunakan pada hantaran sekarang (status: {status})",
    "h_why": "Syarat",
    "h_shifts": "Tahap: bermula dengan {severity}",
}
EN: Mapping[str, str] = {
    "and": "and",
    "or": "or",
    "more": "and {n} more",
    "either": "Any one of these:",
    "times": "{part} at least {n} times",
    "near": "{left} at most {n} characters from {right}",
    "not": "without {part}",
    "words": "Words: {words}.",
    "pattern": "Pattern: {pattern}",
    "exact": "Capital and small letters must be the same.",
    "disguised": "Disguised as well (s u l i t, 5ulit, suuulit).",
    "as_in": "In the tests: {words}.",
    "steps": "by {by}",
    "anywhere": "anywhere in the text",
    "within": "within {n} characters of a match",
    "text": "the post's text",
    "picture": "text in pictures",
    "document": "text in documents",
    "platform": "platform",
    "agency_kind": "kind of agency",
    "kind": "kind of post",
    "language": "language",
    "draft": "draft: tested, not used on posts",
    "shadow": "shadow: counted in the weekly digest, no alert is sent",
    "live": "live",
    "retired": "retired",
    "low": "low: weekly digest only",
    "ignored": "",
    "lifts": "; the second opinion may lift it to medium",
    "confirms": "; low unless the second opinion agrees",
    "doubts": "; low when the second opinion is all but sure that the post is an ordinary one",
    "decides": "; found only when the second opinion agrees, and then medium",
    "h_opinion": "Second opinion: {sure} % sure, of paragraph {clause}; it counts from {lift} % on, for that paragraph",
    "h_voice": "Sounds like an office's page: {voice} %; usually {least} % are needed",
    "h_weighed": "Therefore: {after}, not {before}",
    "h_speaking": "What speaks most for it: {words}",
    "medium": "medium: the head of department is mailed",
    "high": "high: the head of department is mailed",
    "critical": "critical: mailed at once, at any hour, also to the second contact",
    "none": "a mail holds no text of the post",
    "masked": "a mail holds an excerpt with the matches masked",
    "full": "a mail holds an excerpt",
    "mykad": "An identity card number (MyKad) with a valid date and place code.",
    "file-reference": "A government file reference, such as JKR.HQ(S) 100-4/2/1 Jld.3 (22).",
    "mobile-number": "A Malaysian mobile number.",
    "secret": "A key, a token, or a password written with its value.",
    "private-address": "An IP address of an internal network.",
    "passport": "A passport number, called one.",
    "service-number": "A soldier's or police officer's number, called one.",
    "tin": "A tax number (TIN).",
    "phone-number": "A telephone number, mobile or fixed, that is no public line.",
    "internal-host": "The name of a server or the address of an internal system.",
    "bank-account": "A bank account number.",
    "home-address": "An address that somebody lives at.",
    "car-plate": "A vehicle's registration number, called one.",
    "person-name": "A person's full name.",
    "person-list": "A list of several persons' names.",
    "private-email": "A private mail address.",
    "domains": "Links to: {words}.",
    "same-text": "The same text on at least {accounts} registered accounts (of {agencies} agencies) within {within}.",
    "posts": "At least {at_least} posts of this account within {within}.",
    "unusual-hour": "An hour at which this account hardly ever publishes.",
    "new-domain": "A link to a domain that this account never linked to before.",
    "profile-changed": "The account's profile ({fields}) changed within {within}.",
    "other-language": "A language that this account hardly ever writes in.",
    "profile_name": "name",
    "profile_handle": "handle",
    "profile_picture": "picture",
    "profile_bio": "bio",
    "link": "A link.",
    "short-link": "A shortened link.",
    "look-alike-link": "A link that looks like a government site or a well-known one.",
    "h_clause": "Paragraph {clause}",
    "h_status": "Status",
    "h_severity": "Severity",
    "h_disclosure": "Disclosure",
    "h_looks_at": "Looks at",
    "h_only_for": "Only for",
    "h_fires_when": "Fires when",
    "h_parts": "Parts",
    "h_graver": "Graver with",
    "h_lighter": "Lighter with",
    "h_exceptions": "Exceptions",
    "h_exception": "{covers} — {reason}; owner {owner}; until {expires}",
    "h_fires_on": "Tests: must fire",
    "h_quiet_on": "Tests: must stay quiet",
    "h_file": "File",
    "version": "version {n}",
    "fires": "FIRES: severity {severity}",
    "quiet": "STAYS QUIET",
    "no_match": "no match",
    "excused": "excused by {name}",
    "met": "yes",
    "unmet": "no",
    "lighter_left_nothing": "the condition is met, but lighter words leave nothing of it",
    "unmet_why": "the condition is not met",
    "not_used": "the rule is not used on posts at present (status: {status})",
    "h_why": "Condition",
    "h_shifts": "Severity: begins with {severity}",
}
WORDS: Mapping[Language, Mapping[str, str]] = {Language.MS: MS, Language.EN: EN}


@dataclass(frozen=True, slots=True, kw_only=True)
class PartWords:
    """A part: what it looks for, as sentences, and what it matches in the rule's own tests."""

    name: str
    looks_for: str
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionWords:
    name: str
    covers: tuple[str, ...]
    reason: str
    owner: str
    expires: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A rule in words of one language. `fires_when` holds several sentences of which one must be true."""

    id: str
    version: int
    title: str
    clause: str
    clause_text: str  # as the instrument writes it; English is ours
    status: str
    severity: str
    disclosure: str
    looks_at: tuple[str, ...]
    only_for: tuple[str, ...]
    fires_when: tuple[str, ...]
    condition: str
    parts: tuple[PartWords, ...]
    graver: tuple[str, ...]
    lighter: tuple[str, ...]
    exceptions: tuple[ExceptionWords, ...]
    fires_on: tuple[str, ...]
    quiet_on: tuple[str, ...]
    file: str


def explain(rule: Rule, source: Source, language: Language) -> Explanation:
    """Say in words what the rule's file says."""
    said = WORDS[language]
    english = language is Language.EN
    data = source.data
    return Explanation(
        id=rule.id,
        version=rule.version,
        title=rule.title_en if english else rule.title_ms,
        clause=f"{rule.clause.instrument} {rule.clause.ref}",
        clause_text=rule.clause.en if english else rule.clause.ms,
        status=said[rule.status.value],
        severity=said[rule.severity.label] + said[rule.opinion.value],
        disclosure=said[rule.disclosure.label],
        looks_at=tuple(said[name] for name in SCOPES if name in rule.scope),
        only_for=tuple(f"{said[name]}: {', '.join(sorted(values))}" for name, values in rule.where.items()),
        fires_when=tuple(alternatives(rule.condition, said)),
        condition=" ".join(str(data["condition"]).split()),
        parts=tuple(_part(rule, name, source, said) for name in rule.parts),
        graver=tuple(_shift(shift, source, said) for shift in data.get("stronger", [])),
        lighter=tuple(_shift(shift, source, said) for shift in data.get("weaker", [])),
        exceptions=tuple(_exception(one) for one in data.get("exceptions", [])),
        fires_on=tuple(example.text for example in rule.tests if example.fires),
        quiet_on=tuple(example.text for example in rule.tests if not example.fires),
        file=rule.file,
    )


def _part(rule: Rule, name: str, source: Source, said: Mapping[str, str]) -> PartWords:
    written = source.data["parts"][name]
    sentences = []
    if "detector" in written:
        sentences.append(said.get(written["detector"], written["detector"]))
    elif "history" in written:
        sentences.append(_history(written, said))
    elif "domains" in written:
        names = [*texts(written["domains"]), *source.words({"lists": written.get("lists", [])})]
        sentences.append(said["domains"].format(words=_some(names, said)))
    elif "regex" in written:
        sentences.append(said["pattern"].format(pattern=_cut(written["regex"])))
    else:
        sentences.append(said["words"].format(words=_some(source.words(written), said)))
    if written.get("case") == "exact":
        sentences.append(said["exact"])
    if "squeezed" in texts(written.get("views", [])):
        sentences.append(said["disguised"])
    examples = tuple(_matches_in_tests(rule, name))
    return PartWords(name=name, looks_for=" ".join(sentences), examples=examples)


def _history(written: Mapping[str, Any], said: Mapping[str, str]) -> str:
    fields = ", ".join(said[f"profile_{name}"] for name in texts(written.get("fields", list(PROFILE_FIELDS))))
    return said[written["history"]].format(**{"agencies": "1", **written, "fields": fields})


def _matches_in_tests(rule: Rule, name: str) -> list[str]:
    found: dict[str, None] = {}
    for example in rule.tests:
        if example.fires:
            text = Text(example.text)
            for start, end in rule.parts[name].find(text):
                first, last = text.original_span(start, end)
                found[" ".join(example.text[first:last].split())[:LONGEST_MATCH]] = None
    return list(found)[:SHOWN_MATCHES]


def _shift(written: Mapping[str, Any], source: Source, said: Mapping[str, str]) -> str:
    where = said["within"].format(n=written["within"]) if "within" in written else said["anywhere"]
    steps = said["steps"].format(by=written["by"])
    return f"{steps}, {where}: {_some(source.words(written), said)}"


def _exception(written: Mapping[str, Any]) -> ExceptionWords:
    facts = {key: written[key] for key in ("name", "reason", "owner", "expires")}
    return ExceptionWords(covers=tuple(texts(written["covers"])), **facts)


def _some(words: Sequence[str], said: Mapping[str, str]) -> str:
    shown = ", ".join(words[:SHOWN_WORDS])
    more = len(words) - SHOWN_WORDS
    return f"{shown} {said['more'].format(n=more)}" if more > 0 else shown


def _cut(pattern: str) -> str:
    return pattern if len(pattern) <= LONGEST_PATTERN else pattern[:LONGEST_PATTERN].rstrip() + " …"


# ---------------------------------------------------------------- a condition in words


def alternatives(condition: Condition, said: Mapping[str, str]) -> list[str]:
    """Return the condition as sentences of which one must be true."""
    return [in_words(one, said) for one in _joined(condition, conditions.Or)]


def in_words(condition: Condition, said: Mapping[str, str]) -> str:
    """Return a condition as one phrase; names of parts stand in it as they are."""
    match condition:
        case conditions.Part():
            return _counted(condition.name, condition.at_least, said)
        case conditions.Not():
            return said["not"].format(part=_inner(condition.inner, said))
        case conditions.Near():
            left, right = _inner(condition.left, said), _inner(condition.right, said)
            return said["near"].format(left=left, n=condition.distance, right=right)
        case conditions.And():
            return f" {said['and']} ".join(_inner(one, said) for one in _joined(condition, conditions.And))
        case conditions.Or():
            return f" {said['or']} ".join(_inner(one, said) for one in _joined(condition, conditions.Or))
    raise TypeError(f"a condition without words: {type(condition).__name__}")


def _counted(name: str, at_least: int, said: Mapping[str, str]) -> str:
    return name if at_least == 1 else said["times"].format(part=name, n=at_least)


def _inner(condition: Condition, said: Mapping[str, str]) -> str:
    words = in_words(condition, said)
    return words if isinstance(condition, conditions.Part | conditions.Not) else f"({words})"


def _joined(condition: Condition, kind: type[conditions.And | conditions.Or]) -> Iterator[Condition]:
    if isinstance(condition, kind):
        yield from _joined(condition.left, kind)
        yield from _joined(condition.right, kind)
    else:
        yield condition


# ---------------------------------------------------------------- why a text fires or stays quiet


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A match of a part: half-open code points of the original text, and the exception that covers it, if any."""

    start: int
    end: int
    text: str
    excused_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartResult:
    name: str
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One of the condition's alternatives, and whether the text meets it."""

    words: str
    met: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftResult:
    words: tuple[str, ...]  # those that stand there
    by: int  # steps: graver above 0, lighter below


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """What a rule makes of a text, as if it were live and the circumstances those it asks for."""

    fires: bool
    severity: Severity | None
    parts: tuple[PartResult, ...]
    steps: tuple[Step, ...]
    condition_met: bool
    base: Severity
    shifts: tuple[ShiftResult, ...]
    finding: Finding | None
    opinion: View | None = None
    unweighed: Severity | None = None  # what the rule says without the opinion
    speaking: tuple[str, ...] = ()  # the words that made the opinion think so, the strongest first


def why(
    rule: Rule, text: str, language: Language, history: History | None = None, opinion: Opinion | None = None
) -> Why:
    """Take the rule's way through a text apart. Without a history the parts that ask about it match nothing.

    `opinion` is the second one, for a rule that lets itself be lifted.
    """
    said = WORDS[language]
    folded = Text(text)
    found = {name: part_matches(rule, name, folded, _subject(text), history) for name in rule.parts}
    parts = tuple(_results(rule, found, folded))
    left = {name: [s for s in spans if not _excused(rule, s, folded)] for name, spans in found.items()}
    of: Callable[[str], Sequence[Span]] = left.__getitem__
    steps = tuple(
        Step(words=in_words(one, said), met=one.matches(of) is not None)
        for one in _joined(rule.condition, conditions.Or)
    )
    finding = _judged(rule, text, history, opinion)
    asked = opinion if rule.opinion is not OpinionUse.IGNORED else None
    met = rule.condition.matches(of) is not None
    shifts = tuple(_shifted(rule, folded, of)) if met else ()
    alone = _judged(rule, text, history, None)
    return Why(
        fires=finding is not None,
        severity=finding.severity if finding else None,
        parts=parts,
        steps=steps,
        condition_met=met,
        base=rule.severity,
        shifts=shifts,
        finding=finding,
        opinion=asked.view(folded) if asked is not None else None,
        unweighed=alone.severity if alone else None,
        speaking=tuple(asked.speaking(folded)) if asked is not None else (),
    )


def opinion_lines(reason: Why, opinion: Opinion, said: Mapping[str, str]) -> Iterator[str]:
    """Yield what the second opinion thinks of the text, and what it has made of the rule's own severity."""
    view = reason.opinion
    if view is None:
        return
    lift, least = opinion.lift.get(view.clause, 1.0), opinion.voice.get(view.clause, 1.0)
    yield said["h_opinion"].format(sure=_percent(view.sureness), clause=view.clause, lift=_percent(lift))
    yield said["h_voice"].format(voice=_percent(view.voice), least=_percent(least))
    if reason.unweighed != reason.severity:
        after, before = _shortly(reason.severity, said), _shortly(reason.unweighed, said)
        yield said["h_weighed"].format(after=after, before=before)
    if reason.speaking:
        yield said["h_speaking"].format(words=", ".join(reason.speaking))


def _shortly(severity: Severity | None, said: Mapping[str, str]) -> str:
    return said[severity.label].partition(":")[0] if severity else said["quiet"].lower()


def _percent(share: float) -> int:
    return round(share * 100)


def _judged(rule: Rule, text: str, history: History | None, opinion: Opinion | None) -> Finding | None:
    """Return what the engine itself says of the text; without an opinion what the rule alone does, as its tests."""
    alone = replace(rule, status=Status.LIVE, where={}, scope=frozenset(SCOPES))
    if opinion is None:
        return judge(alone, Text(text), _subject(text), "text", history=history)
    return next(iter(evaluate(RuleSet([alone], "", {rule.clause.instrument: opinion}), _subject(text), history)), None)


def _subject(text: str) -> Subject:
    return Subject(fields={"text": text}, published_at=EXAMPLE_AT)


def _excused(rule: Rule, span: Span, text: Text) -> str:
    if span == NOWHERE:
        return ""
    for excuse in rule.exceptions:
        if any(start <= span[0] and span[1] <= end for start, end in excuse.covers.find(text)):
            return excuse.name
    return ""


def _results(rule: Rule, found: Mapping[str, Sequence[Span]], text: Text) -> Iterator[PartResult]:
    for name, spans in found.items():
        matches = []
        for span in spans:
            if span == NOWHERE:
                matches.append(Match(start=0, end=0, text=""))
                continue
            start, end = text.original_span(*span)
            excused_by = _excused(rule, span, text)
            matches.append(Match(start=start, end=end, text=text.original[start:end], excused_by=excused_by))
        yield PartResult(name=name, matches=tuple(matches))


def _shifted(rule: Rule, text: Text, of: Callable[[str], Sequence[Span]]) -> Iterator[ShiftResult]:
    for sign, shifts in ((1, rule.stronger), (-1, rule.weaker)):
        for shift in shifts:
            if found := _present(rule, shift, text, of):
                yield ShiftResult(words=tuple(found), by=sign * shift.by)


def _present(rule: Rule, shift: Shift, text: Text, of: Callable[[str], Sequence[Span]]) -> list[str]:
    """Return the shift's words that count: those within its reach of the matches that make the condition true."""
    matches = [span for span in rule.condition.matches(of) or () if span != NOWHERE]
    found: dict[str, None] = {}
    for start, end in shift.words.find(text):
        reach = shift.within
        if reach is None or any(start <= last + reach and first - reach <= end for first, last in matches):
            first, last = text.original_span(start, end)
            found[text.original[first:last]] = None
    return list(found)
