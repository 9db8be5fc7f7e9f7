"""Parts that ask about history: what each holds of, what a rule file may say of it, and how seldom it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from archive import Shelf
from builders import rule, rule_set
from test_rules_load import RULE, load, problems, write

from monitor.model import MALAYSIA, Profile, Subject
from monitor.problems import ConfigurationError
from monitor.rules.backtest import ArchivedPost, Holder, Stored, Version, between, replay, with_stored
from monitor.rules.detectors.domains import DomainPart
from monitor.rules.evaluate import evaluate
from monitor.rules.explain import explain, why
from monitor.rules.history import (
    KINDS,
    Copies,
    Known,
    NewDomain,
    OtherLanguage,
    Posts,
    ProfileChanged,
    SameText,
    Stated,
    UnusualHour,
    linked_domains,
    text_key,
)
from monitor.rules.language import guess
from monitor.rules.load import load_rules
from monitor.rules.parts import phrases
from monitor.rules.source import read_source
from monitor.rules.text import Text

HOUR = timedelta(hours=1)
NIGHT = datetime(2024, 9, 4, 2, 10, tzinfo=MALAYSIA)
BY_DAY = (*[0] * 9, *[20] * 8, *[0] * 7)
MOSTLY_BY_DAY = (0, 0, 1, *[0] * 6, *[20] * 8, *[0] * 7)
LINK = "lihat https://solana-claim.xyz/now"
ENGLISH = "Free coins for the first of you, send and get it now"
MALAY = "Harga minyak untuk minggu ini tidak berubah dan kekal"
COPIED = SameText(accounts=3, agencies=2, within=HOUR)
RENAMED = ProfileChanged(within=HOUR, fields=frozenset({"name", "handle"}))

HOLDS = [
    ("the same text on enough accounts", COPIED, {"copies": Copies(3, 2)}, "x", True),
    ("on too few accounts", COPIED, {"copies": Copies(2, 2)}, "x", False),
    ("on accounts of one agency", COPIED, {"copies": Copies(5, 1)}, "x", False),
    ("as many posts as it takes", Posts(at_least=10, within=HOUR), {"posts": 10}, "x", True),
    ("a post too few", Posts(at_least=10, within=HOUR), {"posts": 9}, "x", False),
    ("an hour at which it never publishes", UnusualHour(), {"at": BY_DAY}, "x", True),
    ("an hour at which it hardly ever does", UnusualHour(), {"at": MOSTLY_BY_DAY}, "x", True),
    ("an hour beside one at which it does", UnusualHour(), {"at": (*[0] * 3, 20, *[20] * 20)}, "x", False),
    ("too few posts to know its hours", UnusualHour(), {"at": (*[0] * 9, 49, *[0] * 14)}, "x", False),
    ("midnight has neighbours on both sides", UnusualHour(), {"at": (0, 99, *[0] * 22)}, "x", False),
    ("a domain it never linked to", NewDomain(), {"linked": Known(20, {"jpd.com"})}, LINK, True),
    ("a domain it linked to before", NewDomain(), {"linked": Known(20, {"solana-claim.xyz"})}, LINK, False),
    ("a part of a domain it linked to", NewDomain(), {"linked": Known(20, {"solana-claim.xyz"})}, "https://a.solana-claim.xyz/", False),
    ("too few posts to know its domains", NewDomain(), {"linked": Known(19, ())}, LINK, False),
    ("a site of the government", NewDomain(), {"linked": Known(20, ())}, "https://www.moh.gov.my/a", False),
    ("a name that only looks like one", NewDomain(), {"linked": Known(20, ())}, "https://moh.gov.my.xyz-claim.com/a", True),
    ("a suffix that the rule lets be", NewDomain(other_than=frozenset({"my"})), {"linked": Known(20, ())}, "https://kedai.com.my/a", False),
    ("no link at all", NewDomain(), {"linked": Known(20, ())}, "selamat pagi", False),
    ("X's own wrapper", NewDomain(), {"linked": Known(20, ())}, "https://t.co/abc", False),
    ("a name that changed", RENAMED, {"changed": frozenset({"name"})}, "x", True),
    ("another thing of the profile", RENAMED, {"changed": frozenset({"bio"})}, "x", False),
    ("a profile that stayed", RENAMED, {}, "x", False),
    ("another language", OtherLanguage(), {"spoken": {"ms": 40, "": 10}}, ENGLISH, True),
    ("the language it writes in", OtherLanguage(), {"spoken": {"ms": 40}}, MALAY, False),
    ("one of its two languages", OtherLanguage(), {"spoken": {"ms": 40, "en": 5}}, ENGLISH, False),
    ("a language that does not show", OtherLanguage(), {"spoken": {"ms": 40}}, "Solana!", False),
    ("posts whose language does not show", OtherLanguage(), {"spoken": {"": 400, "ms": 19}}, ENGLISH, False),
]  # fmt: skip


@pytest.mark.parametrize(("part", "known", "text", "holds"), [row[1:] for row in HOLDS], ids=[row[0] for row in HOLDS])
def test_a_part_holds_of(part, known, text, holds):
    subject = Subject(fields={"text": text}, published_at=NIGHT)
    assert part.holds(subject, Text(text), Stated(**known)) is holds


@pytest.mark.parametrize("part", [UnusualHour(), OtherLanguage(), NewDomain(), COPIED, RENAMED])
def test_what_is_not_known_does_not_match(part):
    assert not part.holds(Subject(fields={"text": ENGLISH + LINK}), Text(ENGLISH + LINK), Stated())


def test_a_link_that_the_platform_names_counts():
    subject = Subject(fields={"text": "lihat https://t.co/a"}, links=("https://solana-claim.xyz/a",))
    assert NewDomain().holds(subject, Text("lihat https://t.co/a"), Stated(linked=Known(20, ())))
    assert linked_domains("lihat https://t.co/a", ("https://A.Solana-Claim.xyz/a",)) == {"solana-claim.xyz"}


LANGUAGES = [
    ("Malay", MALAY, "ms"),
    ("English", ENGLISH, "en"),
    ("Spanish", "Estamos regalando SOL para los primeros que lleguen por el enlace", "other"),
    ("Russian", "Бесплатная раздача токенов, жми на ссылку", "other"),
    ("Chinese", "欢迎大家参加今天的活动内容很丰富", "other"),
    ("Jawi is Malay", "انيله ڤڠومومن رسمي كراجأن مليسيا", ""),
    ("a greeting", "Selamat pagi!", ""),
    ("a link and names", "https://the-and-of.com/is/in @you #dan", ""),
    ("two languages at once", "Sila baca dan kongsi untuk semua / please read the notice for all of you and us", ""),
    ("nothing", "", ""),
]


@pytest.mark.parametrize(("text", "language"), [row[1:] for row in LANGUAGES], ids=[row[0] for row in LANGUAGES])
def test_a_language_is_guessed(text, language):
    assert guess(text) == language


HACKED = "THIS IS HACKED ACCOUNT! INTRODUCING $HACKED ON SOLANA"
SAME = [
    ("letters in any case", HACKED.lower(), True),
    ("other links, signs and numbers", "This is HACKED account: introducing HACKED on Solana!! 1 https://a.xyz/b", True),
    ("repeated letters, invisible characters and look-alikes", "THIIS IS H\u200bACKED АCCOUNT INTRODUCING HACKED ON SOLANA", True),
    ("spaces elsewhere", HACKED.replace(" ", "\n"), True),
    ("another word", HACKED + " today", False),
]  # fmt: skip


@pytest.mark.parametrize(("text", "same"), [row[1:] for row in SAME], ids=[row[0] for row in SAME])
def test_a_text_is_the_same_with(text, same):
    assert (text_key(text) == text_key(HACKED)) is same


def test_greetings_are_nobodys_text():
    assert text_key("Selamat pagi semua! https://a-very-long-address.example.my/with/letters") is None
    assert text_key("Selamat Hari Raya Aidilfitri maaf zahir") is not None


def test_a_profile_tells_what_changed():
    before = Profile(native_id="1", name="Tentera", handle="td", picture_url="https://a.my/1.jpg?s=1")
    assert before.changes_since(replace(before, picture_url="https://b.my/1.jpg?s=2")) == frozenset()
    shown = replace(before, name="Shib", picture_url="https://a.my/2.jpg")
    assert shown.changes_since(before) == {"name", "picture"}


# ---------------------------------------------------------------- rule files

PARTS = "parts:\n  mark: {phrases: [sulit], views: [folded, squeezed]}\n  paper: {phrases: [minit, surat]}\n"
PAST = PARTS + "  past: {history: same-text, accounts: 3, within: 30m}\n"
ASKING = (
    RULE.replace(PARTS, PAST)
    .replace("condition: mark near 40 paper", "condition: mark near 40 paper and past")
    .replace("spans: [SULIT, minit]", "history: {same-text: 3}")
)
MISTAKES = [
    ("unknown kind", ("same-text, accounts: 3, within: 30m", "same-txt"), "parts.past.history (line 12): 'same-txt': unknown; did you mean same-text?"),
    ("unknown key", ("accounts: 3", "acounts: 3"), "parts.past.acounts (line 12): unknown key; did you mean accounts?"),
    ("a key of another kind", ("accounts: 3", "accounts: 3, at_least: 2"), "parts.past.at_least (line 12): unknown key"),
    ("missing key", ("accounts: 3, ", ""), "parts.past.accounts (line 12): is missing"),
    ("a count that is none", ("accounts: 3", "accounts: 1"), "'1': expected a whole number from 2 to 9999"),
    ("a duration that is none", ("30m", "30 minutes"), "parts.past.within (line 12): '30 minutes': expected a duration"),
    ("a duration that is too long", ("30m", "60d"), "parts.past.within (line 12): '60d': at most 31d"),
    ("unknown field of a profile", ("same-text, accounts: 3, within: 30m", "profile-changed, within: 2d, fields: [nam]"), "parts.past.fields (line 12): 'nam': unknown; did you mean name?"),
    ("a suffix that is none", ("same-text, accounts: 3, within: 30m", "new-domain, other_than: ['https://a.com']"), "'https://a.com': expected a domain or a suffix"),
    ("nearness", ("paper and past", "paper near 40 past"), "condition (line 13): 'past' asks about history and stands nowhere in the text"),
    ("nearness of a group", ("mark near 40 paper and past", "mark near 40 (paper and past)"), "'past' asks about history and stands nowhere in the text"),
    ("a count in the condition", ("paper and past", "paper and past >= 2"), "'past' asks about history and matches once at most"),
    ("an absence", ("paper and past", "paper and not past"), "'past' asks about history, of which little may be known"),
    ("unknown kind in a test", ("{same-text: 3}", "{same-texts: 3}"), "tests.fire[1].history.same-texts (line 19): unknown key; did you mean same-text?"),
    ("a test with half a count", ("{same-text: 3}", "{same-text: [3]}"), "expected [accounts, agencies]"),
    ("a test with neither yes nor no", ("{same-text: 3}", "{new-domain: maybe}"), "tests.fire[1].history.new-domain (line 19): 'maybe': unknown"),
    ("a test that states no history", (", history: {same-text: 3}", ""), "should fire, but stays quiet"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_a_mistake_is_named_with_its_place(tmp_path, change, message):
    assert change[0] in ASKING
    told = problems(tmp_path, ASKING.replace(*change))
    assert any(message in line for line in told), told


def test_every_kind_can_be_asked_for_and_stated_in_a_test(tmp_path):
    own = {
        "same-text": ("accounts: 3, agencies: 2, within: 30m", "3"),
        "posts": ("at_least: 10, within: 1h", "10"),
        "unusual-hour": ("", "true"),
        "new-domain": ("", "true"),
        "profile-changed": ("within: 48h", "[name]"),
        "other-language": ("", "true"),
    }
    assert own.keys() == KINDS.keys()
    for kind, (keys, said) in own.items():
        text = RULE.replace(PARTS, PARTS + f"  past: {{history: {kind}, {keys}}}\n")
        text = text.replace("mark near 40 paper", "mark near 40 paper and past")
        text = text.replace(
            '{text: "minit SULIT", spans: [SULIT, minit]}',
            f'{{text: "minit SULIT {ENGLISH} https://a-b.xyz/", history: {{{kind}: {said}}}}}',
        )
        (one,) = load(tmp_path, text).rules
        for language in ("ms", "en"):
            told = explain(one, read_source(Path(one.file)), language)
            assert told.parts[2].looks_for
        assert why(one, one.tests[0].text, "en", one.tests[0].history).fires
        assert not why(one, one.tests[0].text, "en").fires


def test_the_match_of_history_has_no_place(tmp_path):
    rules = load(tmp_path, ASKING)
    (found,) = evaluate(rules, Subject(fields={"text": "minit sulit"}), Stated(copies=Copies(3, 3)))
    assert found.spans == ((0, 5), (6, 11))


def test_an_exception_at_the_beginning_does_not_cover_history(tmp_path):
    rules = load(tmp_path, ASKING)
    (found,) = evaluate(rules, Subject(fields={"text": "surat sulit hati, minit sulit"}), Stated(copies=Copies(3, 3)))
    assert found.spans == ((18, 23), (24, 29))


# ---------------------------------------------------------------- links to listed domains

LISTED = RULE.replace("paper: {phrases: [minit, surat]}", "paper: {domains: [bit.ly, '*.Top'], lists: [shops]}")
LISTED = LISTED.replace('"minit SULIT", spans: [SULIT, minit]', '"sulit https://bit.ly/a"')


def domains(folder, text=LISTED, listed="phrases: [kedai.com]"):
    write(folder, text)
    (folder / "guide" / "lists").mkdir(exist_ok=True)
    (folder / "guide" / "lists" / "shops.yaml").write_text(listed + "\n")
    return load_rules(folder, today=NIGHT.date())


def test_a_part_may_list_domains(tmp_path):
    (one,) = (rules := domains(tmp_path)).rules
    assert one.parts["paper"] == DomainPart(frozenset({"bit.ly", "*.top", "kedai.com"}))
    texts = ("sulit bit.ly/a", "sulit a.top/b", "sulit www.kedai.com", "sulit habit.lynx.com")
    assert [len(evaluate(rules, Subject(fields={"text": text}))) for text in texts] == [1, 1, 1, 0]
    assert explain(one, read_source(Path(one.file)), "en").parts[1].looks_for == "Links to: bit.ly, *.Top, kedai.com."


@pytest.mark.parametrize(
    ("change", "listed", "message"),
    [
        (("bit.ly,", "'http://bit.ly',"), "phrases: [a.com]", "'http://bit.ly': expected a domain"),
        (("bit.ly", "bit.ly"), "phrases: [kedai kita]", "'kedai kita': expected a domain"),
        (("[shops]", "[shop]"), "phrases: [a.com]", "'shop': no such list; did you mean shops?"),
        (("lists: [shops]", "case: exact"), "phrases: [a.com]", "domains have none"),
        (("lists: [shops]", "phrases: [a]"), "phrases: [a.com]", "needs one of phrases"),
    ],
)
def test_a_mistake_in_a_list_of_domains_is_named(tmp_path, change, listed, message):
    with pytest.raises(ConfigurationError) as caught:
        domains(tmp_path, LISTED.replace(*change), listed)
    assert message in str(caught.value)


def test_a_platform_that_nobody_reads_is_named(tmp_path):
    write(tmp_path, RULE.replace("tests:\n", "where: {platform: [facebok]}\ntests:\n"))
    with pytest.raises(ConfigurationError, match="'facebok': unknown; did you mean facebook"):
        load_rules(tmp_path, today=NIGHT.date(), platforms=("facebook", "x"))


# ---------------------------------------------------------------- how seldom history is asked


@dataclass(frozen=True, kw_only=True)
class Counting(Stated):
    asked: list[str] = field(default_factory=list)

    def accounts_with_same_text(self, within):
        self.asked.append("same-text")
        return self.copies

    def posts_within(self, within):
        self.asked.append("posts")
        return self.posts


COIN = phrases(["airdrop"])
BAIT = phrases(["wallet"])
BURST = Posts(at_least=10, within=HOUR)
ASKED = [
    ("the text decides against it", "copied and coin", "selamat pagi", []),
    ("the text leaves it open", "copied and coin", "airdrop", ["same-text"]),
    ("the text decides a count", "copied and coin >= 2", "airdrop", []),
    ("the text decides a distance", "copied and (coin near 3 bait)", "airdrop to your wallet", []),
    ("one history decides against the other", "coin and copied and burst", "airdrop", ["same-text"]),
    ("history alone", "burst", "selamat pagi", ["posts"]),
    ("either", "coin or burst", "airdrop", ["posts"]),
    ("a post whose links are no news", "copied and stranger", "airdrop di https://www.moh.gov.my", []),
    ("a post in no language", "tongue and burst", "airdrop", []),
]


@pytest.mark.parametrize(("condition", "text", "asked"), [row[1:] for row in ASKED], ids=[row[0] for row in ASKED])
def test_history_is_asked_last(condition, text, asked):
    parts = {"copied": COPIED, "burst": BURST, "coin": COIN, "bait": BAIT}
    parts |= {"stranger": NewDomain(), "tongue": OtherLanguage()}
    used = {name: part for name, part in parts.items() if name in condition}
    rules = rule_set(rule(used, condition))
    history = Counting()
    evaluate(rules, Subject(fields={"text": text}), history)
    assert history.asked == asked


def test_a_rule_of_history_alone_is_no_candidate_without_one():
    rules = rule_set(
        rule({"burst": BURST}, "burst"), rule({"coin": COIN, "burst": BURST}, "coin and burst", id="guide/1a/two")
    )
    for text in ("selamat pagi", "airdrop"):
        assert rules.sieve.suspected(text) is None
    assert [one.id for one, _ in rules.sieve.suspected("selamat pagi", history=True).candidates] == ["guide/1a/one"]
    assert len(rules.sieve.suspected("airdrop", history=True).candidates) == 2
    (found,) = evaluate(rules, Subject(fields={"text": "selamat pagi"}), Stated(posts=10))
    assert found.spans == ()


# ---------------------------------------------------------------- the back-test knows no history


def test_what_history_found_is_not_lost_in_a_back_test():
    live = rule({"coin": COIN, "copied": COPIED}, "coin and copied")
    stored = Stored(live.id, live.severity, live=True)
    post = ArchivedPost(
        1, Holder("JPD", "x", None), NIGHT, "original", [Version("ms", {"text": "airdrop"}, 0)], [stored], ["C-1"]
    )
    asking = rule_set(live)
    for comparison in (with_stored(asking), between(asking, asking, [live.id])):
        outcome = replay(Shelf([post]), comparison)
        assert outcome.lost == []
        assert not any(change.differs for change in outcome.rules.values())
