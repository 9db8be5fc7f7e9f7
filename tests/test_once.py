"""`pantau once` as a process, against servers that speak X's and Facebook's API and a real mail server."""

from __future__ import annotations

import asyncio
import resource
import signal
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import parseaddr

import pytest
from installation import AGENCY, LEAK, OPERATOR, Installation, eventually, kill
from mail_servers import Postbox, read_mail, smtp_server
from platforms import EXPIRED, GRAPH_TOKEN, UNAUTHORIZED, X_TOKEN, Platforms, just_now
from replay import Answer, as_json
from sqlalchemy import create_engine
from sqlalchemy import text as sql

SETTINGS = """[database]
url = "sqlite:///pantau.db"
[mail]
transport = "smtp"
host = "127.0.0.1"
port = {port}
security = "none"
sender = "Pantau <pantau@example.my>"
[operators]
recipients = ["{operator}"]
[network]
allow = ["127.0.0.1/32"]
[connectors.x]
bearer_token_file = "x.token"
base_url = "{url}/x"
[connectors.facebook]
access_token_file = "facebook.token"
base_url = "{url}/graph"
[connectors.myspace]
base_url = "{url}/myspace"
"""
HEAD, DEPUTY = AGENCY["head_email"], AGENCY["deputy_email"]


class Office:
    """An installation with its platforms and its mail server."""

    def __init__(self, folder, box, port, platforms):
        self.box = box
        self.platforms = platforms
        self.here = Installation(folder, SETTINGS.format(port=port, url=platforms.url, operator=OPERATOR))
        (folder / "x.token").write_text(X_TOKEN)
        (folder / "facebook.token").write_text(GRAPH_TOKEN + "\n")

    def register(self, *accounts):
        self.here.accounts = list(accounts)
        self.here.write()

    def once(self, *, code=0):
        ran = self.here.run("once")
        assert ran.code == code, ran.out + ran.err
        return ran

    def stored(self):
        return Counter(
            dict(
                self.here.query(
                    "select post.native_id, count(*) from post join post_version on post_version.post_id = post.id"
                    " group by post.native_id"
                )
            )
        )

    def told(self):
        """Who got a mail about what: (recipient, template) of every mail that the server took."""
        return sorted((recipient, parseaddr(read_mail(mail)["From"])[1]) for recipient, mail in self.box.mails)

    def recipients(self):
        return sorted(recipient for recipient, _ in self.box.mails)


@pytest.fixture
def box():
    return Postbox()


@pytest.fixture
def office(tmp_path, box):
    platforms = Platforms()
    with platforms.server, smtp_server(box) as port:
        yield Office(tmp_path, box, port, platforms)


@pytest.fixture
def small(office):
    """One account on X with an ordinary post and a leak."""
    office.platforms.open_x("jpd")
    office.platforms.tweet("jpd", "Kaunter dibuka seperti biasa.")
    office.leak = office.platforms.tweet("jpd", LEAK)
    office.register(("JPD", "x", "jpd", ""))
    return office


def hold(office, matches, event):
    """Let the first request that matches wait until `event`, and say when it has come."""
    came = threading.Event()

    def before(asked):
        if matches(asked) and not came.is_set():
            came.set()
            event.wait(120)

    office.platforms.before = before
    return came


# ---------------------------------------------------------------- the whole way


def test_every_post_is_stored_once_and_the_head_is_told_once(office):
    platforms = office.platforms
    platforms.page_size = 4
    platforms.open_x("jpd")
    platforms.open_page("jabatandemo")
    ids = [platforms.tweet("jpd", f"Hantaran {n}", at=just_now(60 - n)) for n in range(11)]
    ids += [platforms.publish("jabatandemo", f"Berita {n}", at=just_now(60 - n)) for n in range(9)]
    ids += [platforms.tweet("jpd", LEAK), platforms.publish("jabatandemo", "Kata laluan WiFi: abc#123")]
    platforms.articles = [("https://jpd.example.my/1", "Artikel", just_now(5))]
    office.register(
        ("JPD", "x", "jpd", ""), ("JPD", "facebook", "jabatandemo", ""), ("JPD", "rss", "", f"{platforms.url}/feed.xml")
    )

    ran = office.once()

    assert "3 checked, 0 not read" in ran.out
    assert "2 opened, 2 open in all" in ran.out
    assert sorted(row[0] for row in office.here.query("select native_id from post")) == sorted(
        [*ids, "https://jpd.example.my/1"]
    )
    # The leak (high) goes to the head alone, the password (critical) also to the second contact.
    assert office.recipients() == sorted([HEAD, HEAD, AGENCY["deputy_email"]])

    again = office.once()

    assert "0 new, 0 edited, 0 deleted" in again.out
    assert "0 delivered" in again.out
    assert set(office.stored().values()) == {1}
    assert len(office.box.mails) == 3
    assert len(set(office.box.message_ids())) == 3


def test_a_mail_of_an_undisclosed_rule_names_the_post_and_repeats_nothing_of_it(small):
    small.once()
    (_, content) = small.box.mails[0]
    mail = read_mail(content)
    text = mail.get_body(("plain",)).get_content()
    assert small.leak in text
    assert "PTU-" in text
    assert "Mesyuarat" not in content.decode("latin-1")


def test_edits_and_deletions_are_seen_at_the_next_pass(small):
    platforms = small.platforms
    edited = platforms.tweet("jpd", "Gotong-royong esok")
    deleted = platforms.tweet("jpd", "Silap hantar")
    small.once()
    platforms.edit_tweet("jpd", edited, "Gotong-royong esok; kata laluan WiFi: demo#1")
    platforms.delete_tweet("jpd", deleted)

    ran = small.once()

    assert "0 new, 1 edited, 1 deleted" in ran.out
    assert small.here.query(f"select versions, deleted_at is not null from post where native_id = '{edited}'") == [
        (2, 0)
    ]
    assert small.here.query(f"select versions, deleted_at is not null from post where native_id = '{deleted}'") == [
        (1, 1)
    ]
    assert small.here.query("select count(*) from post_version where text = 'Silap hantar'") == [(1,)]
    # The edit breaks something new (critical: head and deputy); the first leak is told once.
    assert small.recipients() == sorted([HEAD, HEAD, AGENCY["deputy_email"]])


def test_an_edit_that_leaves_what_is_broken_unchanged_sends_nothing(small):
    small.once()
    small.platforms.edit_tweet("jpd", small.leak, f"{LEAK} (dikemas kini)")
    ran = small.once()
    assert "1 edited" in ran.out
    assert len(small.box.mails) == 1


def test_a_new_post_between_two_passes_is_the_only_thing_told(small):
    small.once()
    small.platforms.tweet("jpd", f"{LEAK} kedua", at=just_now(0))
    ran = small.once()
    assert "1 new" in ran.out
    assert len(small.box.mails) == 2


def test_the_back_catalogue_is_stored_and_never_mailed(office):
    office.platforms.open_x("jpd")
    office.platforms.tweet("jpd", LEAK, at=just_now(3 * 24 * 60))
    office.platforms.tweet("jpd", LEAK, at=just_now(2 * 24 * 60))
    office.register(("JPD", "x", "jpd", ""))
    office.once()
    assert office.box.mails == []
    assert office.here.query("select kind, state from alert") == [("backlog", "open")]


def test_on_postgresql_the_way_is_the_same(small, postgres_url):
    small.here.toml = small.here.toml.replace("sqlite:///pantau.db", postgres_url)
    small.here.write()
    assert "2 new" in small.once().out
    assert "0 new, 0 edited, 0 deleted" in small.once().out
    assert small.recipients() == [HEAD]
    assert {post["native_id"] for post in small.here.listed("posts", "list")} >= {small.leak}
    assert [line["verdict"] for line in small.here.listed("coverage")] == ["fully monitored"]


def test_on_postgresql_a_killed_pass_is_taken_up_when_its_lease_ends_and_nothing_is_told_twice(small, postgres_url):
    small.here.toml = small.here.toml.replace("sqlite:///pantau.db", postgres_url)
    small.here.write()
    process = None

    async def killed(server):
        kill(process)
        return "451 nobody hears this"

    small.box.faults = [killed]
    process = small.here.start("once")
    eventually(lambda: process.poll() is not None)
    ran = small.once()
    assert "0 delivered" in ran.out  # another machine's process might still be sending it
    engine = create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(sql("update notification set leased_until = now() - interval '1 second'"))
        connection.execute(sql("update account set leased_until = now() + interval '1 minute'"))
    engine.dispose()
    ran = small.once()
    assert len(small.box.mails) == 1
    assert len(set(small.box.handed_over)) == 1
    assert "1 accounts are in another process's hands" in ran.out


def test_on_postgresql_several_processes_may_start_at_once_on_an_empty_database(small, postgres_url):
    small.here.toml = small.here.toml.replace("sqlite:///pantau.db", postgres_url)
    small.here.write()
    started = [small.here.start("once") for _ in range(4)]
    ended = [(process.communicate(timeout=60)[1], process.returncode) for process in started]
    assert ended == [("", 0)] * 4
    small.once()
    assert small.recipients() == [HEAD]
    assert len(small.here.listed("posts", "list")) == 2


# ---------------------------------------------------------------- SIGKILL


def test_killed_while_the_second_page_is_served_nothing_is_lost(small):
    platforms = small.platforms
    platforms.page_size = 5
    ids = {platforms.tweet("jpd", f"Hantaran {n}", at=just_now(60 - n)) for n in range(12)}
    go = threading.Event()
    came = hold(small, lambda asked: "pagination_token" in asked.query, go)
    process = small.here.start("once")
    assert came.wait(60)
    kill(process)
    go.set()
    assert len(small.here.query("select id from post")) == 5  # the first page is committed, the walk is not

    small.once()

    assert {row[0] for row in small.here.query("select native_id from post")} >= ids
    assert set(small.stored().values()) == {1}
    assert len(small.box.mails) == 1


def test_killed_while_the_mail_is_handed_over_it_comes_again_under_the_same_id(small):
    process = None

    async def killed(server):
        kill(process)
        return "451 nobody hears this"

    small.box.faults = [killed]
    process = small.here.start("once")
    eventually(lambda: process.poll() is not None)

    small.once()

    assert len(small.box.mails) == 1
    assert len(small.box.handed_over) == 2
    assert len(set(small.box.handed_over)) == 1


def test_killed_before_it_hears_the_250_the_mail_is_repeated_with_the_same_id_only(small):
    process = None

    async def killed(server):
        kill(process)  # the mail is taken, the answer is lost with the process
        return

    small.box.faults = [killed]
    process = small.here.start("once")
    eventually(lambda: process.poll() is not None)

    small.once()
    small.once()

    assert len(set(small.box.message_ids())) == 1
    assert len(small.box.message_ids()) == 2
    assert small.here.query("select state, message_id from notification") == [("accepted", small.box.message_ids()[0])]


def test_killed_between_two_mails_each_is_accepted_once(small):
    small.platforms.tweet("jpd", f"{LEAK} kedua")
    small.platforms.tweet("jpd", f"{LEAK} ketiga")
    process = None

    async def killed(server):
        kill(process)
        return "451 nobody hears this"

    async def taken(server):
        return None

    small.box.faults = [taken, killed]
    process = small.here.start("once")
    eventually(lambda: process.poll() is not None)
    assert len(small.box.mails) == 1

    small.once()

    assert len(small.box.message_ids()) == len(set(small.box.message_ids())) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_end_a_pass_ends_within_ten_seconds_and_loses_nothing(small, number):
    platforms = small.platforms
    platforms.page_size = 5
    ids = {platforms.tweet("jpd", f"Hantaran {n}", at=just_now(60 - n)) for n in range(12)}
    go = threading.Event()
    came = hold(small, lambda asked: "pagination_token" in asked.query, go)
    process = small.here.start("once")
    assert came.wait(60)
    begin = time.monotonic()
    process.send_signal(number)
    if number == signal.SIGTERM:
        eventually(lambda: process.poll() is not None)  # the platform never answers
    go.set()
    _, err = process.communicate(timeout=20)
    assert time.monotonic() - begin < 10
    assert process.returncode == 0
    assert "nothing is lost" in err
    small.once()
    assert {row[0] for row in small.here.query("select native_id from post")} >= ids
    assert small.recipients() == [HEAD]


def ends_in_time(process, number=signal.SIGTERM):
    begin = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert time.monotonic() - begin < 10
    assert process.returncode == 0, err
    assert "nothing is lost" in err


def test_asked_to_end_it_does_not_wait_for_an_answer_that_drips(small):
    answer = Answer(drip=b" " * 400, pause=0.2)
    came = threading.Event()

    def drips(_asked):
        came.set()
        return answer

    small.platforms.before = drips
    process = small.here.start("once")
    assert came.wait(60)
    ends_in_time(process, signal.SIGINT)
    small.platforms.before = lambda _: None
    assert "2 new" in small.once().out


def test_asked_to_end_it_does_not_wait_for_a_mail_server_and_the_mail_comes_again_under_the_same_id(small):
    came = threading.Event()

    async def never_answers(_server):
        came.set()
        await asyncio.sleep(120)

    small.box.faults = [never_answers]
    process = small.here.start("once")
    assert came.wait(60)
    ends_in_time(process)
    assert small.box.mails == []
    assert "1 delivered" in small.once().out
    assert len(small.box.handed_over) == 2
    assert set(small.box.handed_over) == set(small.box.message_ids())


def test_asked_to_end_a_digest_s_delivery_finishes_the_mail_in_hand_and_leaves_the_rest_for_the_next(small):
    small.here.toml += '[digest]\nrecipients = ["satu@example.my", "dua@example.my"]\n'
    small.here.write()
    small.once()
    small.box.mails.clear()
    came = threading.Event()

    async def slow(_server):
        came.set()
        await asyncio.sleep(1)

    small.box.faults = [slow]
    process = small.here.start("digest", "--send", "--week", "2026-W40")
    assert came.wait(60)
    ends_in_time(process)
    assert small.recipients() == ["satu@example.my"]
    assert "1 delivered" in small.once().out
    assert small.recipients() == ["dua@example.my", "satu@example.my"]


# ---------------------------------------------------------------- hostile posts

HOSTILE = {
    "markup": '<script>alert(1)</script><img src=x onerror=alert(1)> {{ 7*7 }} [bold]x[/bold] &lt;b&gt; "quoted"',
    "header injection": "Salam\r\nBcc: everyone@example.my\r\n\r\nTo: other@example.my",
    "bidi controls": "abc \u202egnp.exe\u202c \u2066isolated\u2069 \u200fRTL",
    "emoji": "Tahniah 🇲🇾👩‍👩‍👧‍👦🏳️‍🌈 ke\u0301di\u0301",
    "60 KB": "Sangat panjang. " * 3840,
    "NUL and a lone surrogate": "sebelum\x00selepas \ud83d hujung",
}


def test_hostile_posts_are_stored_and_told_of_without_harm(office):
    platforms = office.platforms
    platforms.open_x("jpd")
    platforms.open_page("jabatandemo")
    for text in HOSTILE.values():
        platforms.tweet("jpd", f"{LEAK}\n{text}")
        platforms.publish("jabatandemo", f"{LEAK}\n{text}")
    office.register(("JPD", "x", "jpd", ""), ("JPD", "facebook", "jabatandemo", ""))

    office.once()

    posts = office.here.listed("posts", "list")
    texts = [post["text"] for post in posts]
    assert len(posts) == 2 * len(HOSTILE)
    for name, text in HOSTILE.items():
        kept = text.replace("\x00", "\ufffd").replace("\ud83d", "\ufffd")
        assert texts.count(f"{LEAK}\n{kept}") == 2, name
    assert len(office.box.mails) == 2 * len(HOSTILE)
    for recipient, content in office.box.mails:
        mail = read_mail(content)
        assert recipient == HEAD
        assert mail["To"] == HEAD
        assert "Bcc" not in mail
        assert not mail.defects
        assert b"<script>" not in content
        assert len(content) < 60_000
    assert "0 new" in office.once().out
    table = office.here.run("posts", "list").out
    assert "\u202e" not in table
    assert "\x00" not in table


def test_a_post_from_the_future_is_live_and_hides_nothing_of_today(small):
    small.platforms.open_page("jabatandemo")
    small.platforms.publish("jabatandemo", f"{LEAK} dari masa depan", at=datetime(2031, 1, 1, tzinfo=UTC))
    small.here.accounts.append(("JPD", "facebook", "jabatandemo", ""))
    small.here.write()
    small.once()
    assert len(small.box.mails) == 2
    small.platforms.publish("jabatandemo", f"{LEAK} hari ini", at=just_now(0))
    small.once()
    assert len(small.box.mails) == 3


def test_a_picture_that_leads_into_the_private_network_is_not_fetched(office):
    """The list of allowed networks holds loopback only; a post points where it likes."""
    office.platforms.open_page("jabatandemo")
    office.platforms.publish("jabatandemo", "Infografik")
    post = next(iter(office.platforms.objects.values()))[0]
    image = {"image": {"src": "http://10.0.0.1/secret.png"}}
    post["attachments"] = {"data": [{"media_type": "photo", "url": "https://www.facebook.com/photo", "media": image}]}
    office.register(("JPD", "facebook", "jabatandemo", ""))
    ran = office.once()
    assert "1 not read" in ran.out
    assert "[network] allow" in office.here.query("select reason from media")[0][0]


# ---------------------------------------------------------------- what fails is named, the rest goes on


def test_an_unknown_account_is_named_and_the_others_are_read(small):
    small.platforms.open_page("jabatandemo")
    small.platforms.publish("jabatandemo", "Berita")
    small.here.accounts += [("JPD", "x", "tiadaakaun", ""), ("JPD", "facebook", "jabatandemo", "")]
    small.here.write()
    ran = small.once(code=1)
    assert "x/tiadaakaun" in ran.err
    assert "check the handle" in ran.err
    assert "1 not read" in ran.out
    assert len(small.here.query("select id from post")) == 3
    assert small.recipients() == [HEAD]
    failing = [line for line in small.here.listed("coverage") if line["verdict"] == "blind"]
    assert [line["account"] for line in failing] == ["tiadaakaun"]
    assert failing[0]["gaps"][0]["cause"] == "account not found"


@pytest.mark.parametrize("platform", ["x", "facebook"])
def test_a_dead_token_stops_its_accounts_after_the_first_refusals_and_is_one_alert(office, platform):
    platforms = office.platforms
    names = [f"agensi{n}" for n in range(40)]
    for name in names:
        platforms.open_x(name) if platform == "x" else platforms.open_page(name)
    platforms.articles = [("https://jpd.example.my/1", "Artikel", just_now(5))]
    office.register(*(("JPD", platform, name, "") for name in names), ("JPD", "rss", "", f"{platforms.url}/feed.xml"))
    office.once()
    refusal = as_json(UNAUTHORIZED, status=401) if platform == "x" else as_json(EXPIRED, status=400)
    prefix = "/x/" if platform == "x" else "/graph/"
    platforms.before = lambda asked: refusal if asked.path.startswith(prefix) else None
    platforms.server.asked.clear()

    ran = office.once(code=1)

    assert "1 opened, 1 open in all" in ran.out  # also what is no post
    assert len(platforms.asked(prefix)) < 20
    assert platforms.asked("/feed.xml")
    assert "token" in ran.err
    assert office.recipients() == [OPERATOR]
    assert office.here.query("select kind from alert") == [("credential",)]

    office.once(code=1)
    assert office.recipients() == [OPERATOR]  # told once

    platforms.before = lambda _: None
    office.once()
    assert office.recipients() == [OPERATOR, OPERATOR]  # that it works again
    assert all(line["verdict"] != "blind" for line in office.here.listed("coverage"))


def test_a_rate_limit_is_respected_by_the_next_pass_and_the_rest_goes_on(small):
    platforms = small.platforms
    platforms.articles = [("https://jpd.example.my/1", "Artikel", just_now(5))]
    small.here.accounts.append(("JPD", "rss", "", f"{platforms.url}/feed.xml"))
    small.here.write()
    reset = int((datetime.now(UTC) + timedelta(minutes=10)).timestamp())
    limited = as_json({"title": "Too Many Requests"}, status=429, x_rate_limit_reset=str(reset))
    platforms.before = lambda asked: limited if asked.path.startswith("/x/") else None
    small.once(code=1)
    platforms.before = lambda _: None
    platforms.server.asked.clear()

    ran = small.once(code=1)

    assert platforms.asked("/x/") == []
    assert platforms.asked("/feed.xml")
    assert "not asked before" in ran.err
    assert small.here.listed("coverage")[1]["gaps"][0]["cause"] == "rate limit"


def test_a_refusing_mail_server_is_named_and_the_mail_goes_out_at_the_next_pass(small):
    small.box.faults = ["451 4.3.0 try again later"]
    ran = small.once(code=1)
    assert "451 4.3.0 try again later" in ran.err
    assert small.box.mails == []

    ran = small.once()

    assert "1 delivered" in ran.out
    assert small.recipients() == [HEAD]


def test_a_mail_server_that_is_down_loses_nothing(small):
    settings = small.here.toml
    small.here.toml = settings.replace("\nport = ", "\nport = 1 #")
    small.here.write()
    ran = small.once(code=1)
    assert "127.0.0.1:1" in ran.err
    assert "mail.host" in ran.err
    small.here.toml = settings
    small.here.write()
    small.once()
    assert small.recipients() == [HEAD]


def test_a_recipient_refused_for_good_is_a_dead_letter_that_the_operators_hear_of(small):
    small.box.refused = {HEAD: "550 5.1.1 no such user"}
    ran = small.once(code=1)
    assert "550 5.1.1" in ran.err
    assert sorted(small.recipients()) == [OPERATOR, DEPUTY]  # the next contact stands in
    small.once()
    assert sorted(small.recipients()) == [OPERATOR, DEPUTY]


def test_a_myspace_that_shows_nothing_any_more_is_degraded_and_no_failure(small):
    small.here.accounts.append(("JPD", "myspace", "jpdlama", ""))
    small.here.write()
    ran = small.once()
    assert "degraded" in ran.out
    assert "myspace/jpdlama" in ran.out
    assert small.recipients() == [HEAD]


def test_a_site_that_answers_html_instead_of_json_is_named_and_never_read_as_no_posts(small):
    small.platforms.before = lambda asked: Answer(body=b"<!DOCTYPE html><html>Sila log masuk</html>")
    ran = small.once(code=1)
    assert "x/jpd" in ran.err
    assert small.here.listed("coverage")[0]["verdict"] == "blind"


def test_a_full_disk_is_named_and_loses_nothing(small):
    """Fault 12, as far as a process can be cut short of space: no file of it may grow beyond a limit."""
    small.once()
    ids = {small.platforms.tweet("jpd", f"Hantaran {n} " + "panjang " * 2000) for n in range(80)}
    limit = 200_000
    process = small.here.start("once", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, out + err
    assert "the database failed" in err
    assert "free space" in err
    assert "Traceback" not in err
    stored = {row[0] for row in small.here.query("select native_id from post")}
    assert not stored >= ids

    small.once()

    assert {row[0] for row in small.here.query("select native_id from post")} >= ids
    assert set(small.stored().values()) == {1}
    assert small.recipients() == [HEAD]


# ---------------------------------------------------------------- configuration and secrets


def test_a_bad_configuration_touches_nothing(small):
    small.here.toml = small.here.toml.replace("[operators]", "[operator]")
    small.here.write()
    ran = small.once(code=2)
    assert "did you mean operators" in ran.err
    assert not small.here.database.exists()
    assert small.platforms.server.asked == []


def test_no_token_is_stored_printed_or_mailed(office):
    platforms = office.platforms
    platforms.page_size = 2
    platforms.open_page("jabatandemo")
    platforms.open_x("jpd")
    for n in range(5):
        platforms.publish("jabatandemo", f"{LEAK} {n}")
    platforms.tweet("jpd", LEAK)
    office.register(("JPD", "x", "jpd", ""), ("JPD", "facebook", "jabatandemo", ""), ("JPD", "facebook", "tiada", ""))
    office.here.toml += '[log]\nlevel = "debug"\n'
    office.here.write()
    ran = office.once(code=1)
    stored = office.here.database.read_bytes() + b"".join(mail for _, mail in office.box.mails)
    for token in (X_TOKEN, GRAPH_TOKEN):
        assert token not in ran.out + ran.err
        assert token.encode() not in stored
    assert "Mesyuarat" not in ran.out + ran.err


def test_agencies_are_told_of_their_own_accounts_only(office):
    other = {**AGENCY, "code": "KCM", "head_email": "ketua@kcm.example.my", "head_name": "Contoh bin Rekaan"}
    office.platforms.open_x("jpd")
    office.platforms.open_x("kcm")
    office.platforms.tweet("jpd", "Selamat pagi")
    office.platforms.tweet("kcm", LEAK)
    office.here.agencies = [AGENCY, other]
    office.register(("JPD", "x", "jpd", ""), ("KCM", "twitter", "@KCM", ""))
    office.once()
    assert office.recipients() == ["ketua@kcm.example.my"]
