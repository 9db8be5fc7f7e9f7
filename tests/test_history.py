"""The time before a post: what is stored answers, and whole ways from a platform's twin to the alert."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from builders import NOW, account, agency, post
from sqlalchemy import event, inspect, select

from connectors.sandbox.server import Sandbox
from connectors.sandbox.world import World
from connectors.x import XConnector, XSettings
from monitor.model import MALAYSIA, Profile, Severity
from monitor.poll.platform import poll_platform
from monitor.poll.poller import Poller
from monitor.rules.history import Copies
from monitor.rules.load import load_rules
from monitor.settings import Network, Polling, Secret
from monitor.store import tables
from monitor.store.accounts import claim_accounts
from monitor.store.history import StoredHistory, Unsaved
from monitor.store.listings import list_alerts
from monitor.store.posts import Judged, save_page
from monitor.store.profiles import save_profile
from monitor.store.register import save_register

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SAME = "Pengumuman yang sama panjangnya di semua akaun"


class Archive:
    """Three accounts of two agencies, filled as a check fills them."""

    def __init__(self, db):
        self.db = db
        accounts = [account("jpd"), account("jpd2"), account("kcm", agency="KCM")]
        save_register(db, [agency("JPD"), agency("KCM")], accounts, now=NOW)
        claimed = claim_accounts(db, now=NOW, lease=HOUR, limit=9, platform="x")
        self.claimed = {one.account.handle: one for one in claimed}
        self.number = 0

    def save(self, handle, *texts, at=NOW, **changes):
        posts = []
        for text in texts:
            self.number += 1
            posts.append(post(str(self.number), text, published_at=at, **changes))
        judged = [Judged(post=one) for one in posts]
        save_page(self.db, self.claimed[handle], judged, rule_set="r", now=NOW, reread_window=DAY, end=None)
        return posts

    def of(self, handle="jpd", text=SAME, at=NOW, **how):
        return StoredHistory(self.db, self.claimed[handle].account, post("new", text, published_at=at), **how)


@pytest.fixture
def archive(db):
    return Archive(db)


# ---------------------------------------------------------------- the same text


def test_a_text_counts_accounts_and_agencies_on_both_sides_of_the_moment(archive):
    archive.save("jpd2", SAME.upper() + " https://a.xyz/1", at=NOW - 20 * MINUTE)
    archive.save("kcm", SAME, "Hantaran lain yang cukup panjang untuk dikira", at=NOW + 20 * MINUTE)
    assert archive.of().accounts_with_same_text(30 * MINUTE) == Copies(3, 2)
    assert archive.of().accounts_with_same_text(10 * MINUTE) == Copies(1, 1)


def test_an_account_that_repeats_itself_is_one(archive):
    archive.save("jpd", SAME, SAME)
    assert archive.of().accounts_with_same_text(HOUR) == Copies(1, 1)


def test_a_greeting_is_no_text_to_compare(archive):
    archive.save("kcm", "Selamat pagi")
    assert archive.of(text="Selamat pagi").accounts_with_same_text(HOUR) == Copies(1, 1)


def test_an_earlier_version_of_a_post_counts(archive):
    (first,) = archive.save("kcm", SAME)
    edited = Judged(post=post(first.native_id, "Dibetulkan", published_at=NOW, edited_at=NOW + MINUTE))
    save_page(archive.db, archive.claimed["kcm"], [edited], rule_set="r", now=NOW, reread_window=DAY, end=None)
    assert archive.of().accounts_with_same_text(HOUR) == Copies(2, 2)


def test_posts_that_are_read_and_not_stored_yet_count(archive):
    unsaved = Unsaved()
    fresh = [post(f"n{n}", SAME, published_at=NOW - n * MINUTE) for n in range(3)]
    history = archive.of(unsaved=unsaved)
    with unsaved.holding(archive.claimed["jpd"].account, fresh), unsaved.holding(archive.claimed["kcm"].account, fresh):
        assert history.accounts_with_same_text(HOUR) == Copies(2, 2)
        assert history.posts_within(HOUR) == 4, "its own, and itself"
    assert archive.of(unsaved=unsaved).accounts_with_same_text(HOUR) == Copies(1, 1)


# ---------------------------------------------------------------- the account's own past


def test_posts_are_counted_up_to_the_moment(archive):
    archive.save("jpd", "a", "b", at=NOW - 30 * MINUTE)
    archive.save("jpd", "c", at=NOW - HOUR)
    archive.save("jpd", "d", at=NOW + MINUTE)
    archive.save("kcm", "e", at=NOW - MINUTE)
    assert archive.of().posts_within(HOUR) == 3
    assert archive.of().posts_within(2 * HOUR) == 4


def test_habits_end_a_day_before_the_post(archive):
    at = datetime(2026, 11, 20, 1, 30, tzinfo=UTC)  # 9.30 in Malaysia
    archive.save("jpd", "Rujuk https://jpd-berita.com/a untuk maklumat yang lebih dan kekal", at=at)
    archive.save("jpd", "x", at=at, links=("https://www.kedai.com.my/b",))
    archive.save("jpd", "Send it now to https://claim.xyz/a and you get it", at=NOW - HOUR)
    archive.save("kcm", "https://lain.com/a", at=at)
    history = archive.of()
    assert [hour for hour, count in enumerate(history.hours()) if count] == [9]
    assert (history.known_domains().posts, history.known_domains().domains) == (2, {"jpd-berita.com", "kedai.com.my"})
    assert history.languages() == {"ms": 1, "": 1}


def test_the_profile_is_looked_at_before_it_is_told(archive):
    shown = [
        Profile(native_id="1", name="Tentera", handle="td", bio="Rasmi"),
        Profile(native_id="1", name="Tentera", handle="td", bio="Akaun rasmi"),
        Profile(native_id="1", name="Shib", handle="td", bio="Akaun rasmi", picture_url="https://a.my/2.jpg"),
    ]
    claimed = archive.claimed["jpd"]
    save_profile(archive.db, claimed, shown[0], now=NOW - 5 * DAY)
    save_profile(archive.db, claimed, shown[1], now=NOW - 3 * DAY)
    history = archive.of(look=lambda: save_profile(archive.db, claimed, shown[2], now=NOW + MINUTE))
    assert history.profile_changes(2 * DAY) == {"name", "picture"}
    assert history.profile_changes(4 * DAY) == {"name", "picture", "bio"}
    assert archive.of("kcm").profile_changes(4 * DAY) == frozenset()


def test_the_queries_have_their_indexes(archive):
    found = inspect(archive.db._reader)
    assert ["text_key"] in [one["column_names"] for one in found.get_indexes("post_version")]
    assert ["account_id", "published_at"] in [one["column_names"] for one in found.get_indexes("post")]


# ---------------------------------------------------------------- from the platform to the alert

RULES = load_rules(Path(__file__).parent.parent / "config" / "rules", today=date(2026, 11, 24))
HACKED = "THIS IS HACKED ACCOUNT! INTRODUCING $HACKED ON SOLANA. CA: 7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU"
COPIED = "mampu-2009/3b/hijack-same-text"
RENAMED = "mampu-2009/3b/hijack-after-profile-change"
NIGHT = datetime(2026, 11, 24, 2, 0, tzinfo=MALAYSIA)
PRIZE = "Tahniah rakyat Malaysia! Tuntut hadiah anda malam ini juga, klik pautan di bio sekarang"
PRESS = (
    "KENYATAAN MEDIA: Bantuan banjir kepada mangsa di Pantai Timur disalurkan mulai esok. Maklumat lanjut di "
    "https://www.bantuan-banjir.com dan laman rasmi agensi masing-masing."
)


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(World()) as running:
        yield running


class Watch:
    """Pantau's poller on X's twin, with hands on the clock and the pack of rules."""

    seen = 0

    def __init__(self, db, sandbox, *agencies):
        Watch.seen += 1
        self.db, self.world, self.now = db, sandbox.world, NIGHT - 10 * DAY
        self.handles = [f"a{Watch.seen}_{n}" for n in range(len(agencies))]
        for handle in self.handles:
            self.world.add_account("x", handle, name="Akaun rasmi", bio="Rasmi", picture_url="https://a.my/logo.png")
        accounts = [account(h, agency=code) for h, code in zip(self.handles, agencies, strict=True)]
        save_register(db, [agency(code) for code in sorted(set(agencies))], accounts, now=self.now)
        settings = XSettings(bearer_token=Secret("sandbox"), base_url=sandbox.base_url("x"))
        self.poller = Poller(
            db=db,
            connectors={"x": XConnector(settings, Network(timeout=timedelta(seconds=5)))},
            rules=lambda: RULES,
            agency_kinds=dict,
            polling=Polling(),
            clock=lambda: self.now,
        )

    def at(self, moment, *, everything=True):
        self.now = moment
        checked = poll_platform(self.poller, "x", everything=everything, workers=3)
        assert [one.failure for one in checked if one.failure] == []

    def says(self, number, text, at, **how):
        self.world.publish("x", self.handles[number], text, at=at, **how)

    def alerted(self, rule):
        """Return handles with a critical alert of a rule."""
        found = [one for one in list_alerts(self.db) if rule in one.rules]
        assert all(one.severity is Severity.CRITICAL for one in found)
        return sorted(one.account for one in found)


@pytest.fixture
def watch(db, sandbox):
    return lambda *agencies: Watch(db, sandbox, *agencies)


@pytest.mark.parametrize("text", [HACKED, PRIZE], ids=["September 2024", "a prize"])
def test_one_text_on_three_agencies_at_night_is_critical_for_each(watch, text):
    desk = watch("JPD", "KCM", "MPS", "LPD")
    desk.at(NIGHT - HOUR)
    for number, minutes in enumerate((0, 4, 9)):
        desk.says(number, text, NIGHT + minutes * MINUTE)
    desk.at(NIGHT + 10 * MINUTE)
    assert desk.alerted(COPIED) == desk.handles[:3]


def test_who_was_first_is_alerted_when_the_others_follow(watch):
    desk = watch("JPD", "KCM", "MPS")
    desk.at(NIGHT - HOUR)
    for number in range(3):
        assert desk.alerted(COPIED) == []
        desk.says(number, PRIZE, NIGHT + number * 5 * MINUTE)
        desk.at(NIGHT + (number * 5 + 1) * MINUTE)
    assert desk.alerted(COPIED) == desk.handles
    desk.at(NIGHT + 30 * MINUTE)
    assert desk.alerted(COPIED) == desk.handles, "once each"


def test_an_account_that_is_renamed_and_offers_coins_after_midnight_is_critical(watch):
    """November 2021. The profile was read hours ago: it is read again before the rule decides."""
    desk = watch("JPD")
    desk.at(NIGHT - 5 * HOUR)
    desk.world.rename("x", desk.handles[0], name="Shib", picture_url="https://a.my/coin.png")
    desk.says(0, "SHIB army, we are home. Good morning", NIGHT)
    desk.at(NIGHT + MINUTE)
    assert desk.alerted(RENAMED) == desk.handles


def test_a_profile_is_not_read_again_for_ordinary_posts(watch):
    desk = watch("JPD")
    desk.at(NIGHT - 5 * HOUR)
    desk.world.rename("x", desk.handles[0], name="Jabatan Demo")
    desk.says(0, "Kaunter dibuka seperti biasa esok, jam 8 pagi", NIGHT)
    desk.at(NIGHT + MINUTE, everything=False)  # a whole pass looks at every profile
    with desk.db.read() as connection:
        assert connection.execute(select(tables.profile.c.name)).scalars().all() == ["Akaun rasmi"]


def ordinary(desk, number, until, count=60):
    for n in range(count):
        text = f"Kaunter dibuka untuk orang awam pada hari ini, rujuk https://www.berita-jabatan.com/{n}"
        desk.says(number, text, until - 2 * DAY - n * 2 * HOUR, links=(f"https://www.berita-jabatan.com/{n}",))


def test_ordinary_cross_posting_stays_quiet(watch):
    desk = watch("JPD", "JPD", "JPD", "KCM", "MPS")
    for number in range(5):
        ordinary(desk, number, NIGHT, count=25)
    desk.at(NIGHT - HOUR)
    for number in range(3):  # an agency's own accounts
        desk.says(number, PRIZE, NIGHT + number * MINUTE)
    for number in range(5):  # a statement that ministries pass on, and a greeting
        desk.says(number, PRESS, NIGHT + 3 * HOUR, links=("https://www.bantuan-banjir.com",))
        desk.says(number, "Selamat menyambut Hari Kebangsaan kepada seluruh rakyat Malaysia", NIGHT + 5 * HOUR)
    desk.world.rename("x", desk.handles[0], picture_url="https://a.my/merdeka.png")
    desk.says(0, "Peraduan Hari Kebangsaan! Hadiah menarik menanti, daftar sekarang", NIGHT + 6 * HOUR)
    desk.at(NIGHT + 7 * HOUR)
    assert desk.alerted(COPIED) == desk.alerted(RENAMED) == []


def test_a_night_with_an_unknown_link_is_counted_in_shadow(watch):
    desk = watch("JPD")
    for n in range(60):
        text = f"Kaunter dibuka untuk orang awam pada hari ini, nombor {n}"
        desk.says(0, text, datetime(2026, 11, 20, 10, n % 60, tzinfo=MALAYSIA))
    desk.at(NIGHT - HOUR)
    desk.says(0, "You have to see what we found for you https://t.co/a", NIGHT, links=("https://great-offer.top/x",))
    desk.at(NIGHT + MINUTE)
    with desk.db.read() as connection:
        rows = connection.execute(select(tables.finding.c.rule, tables.finding.c.shadow)).all()
    assert rows == [("mampu-2009/3b/unusual-night-link", True)]


ORDINARY = (
    "Kaunter dibuka untuk orang awam pada hari ini, rujuk https://www.jpd.gov.my/{n}",
    "Tonton semula majlis perasmian di https://www.youtube.com/watch?v={n} dan ikuti kami",
    "Gotong-royong perdana bersama penduduk setempat berjalan lancar pagi tadi, kali ke-{n}",
    "Selamat pagi! {n}",
)


def test_history_costs_ordinary_posts_no_query(watch):
    desk = watch("JPD")
    desk.says(0, ORDINARY[0].format(n=40), NIGHT - 3 * HOUR)
    desk.at(NIGHT - 2 * HOUR)  # the first pull and its second reading look at what is stored already
    desk.at(NIGHT - HOUR)
    for n in range(40):
        desk.says(0, ORDINARY[n % 4].format(n=n), NIGHT - n * MINUTE)
    statements = []
    event.listen(desk.db._reader, "before_cursor_execute", lambda *call: statements.append(call[2]))
    desk.at(NIGHT, everything=False)
    with desk.db.read() as connection:
        assert len(connection.execute(select(tables.post.c.id)).all()) == 41
    asked = [one for one in statements if "text_key =" in one or "published_at <" in one or "FROM profile" in one]
    assert asked == []
