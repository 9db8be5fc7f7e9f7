from datetime import time, timedelta
from pathlib import Path

import pytest

from monitor.problems import ConfigurationError
from monitor.settings import Secret
from monitor.settings.load import load_settings
from monitor.settings.summary import summary
from monitor.settings.values import duration, shown_duration


def load(tmp_path: Path, toml: str, **environ: str):
    (tmp_path / "pantau.toml").write_text(toml, encoding="utf-8")
    return load_settings(tmp_path, environ)


def problems_of(tmp_path, toml, **environ):
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, toml, **environ)
    return [str(problem) for problem in caught.value.problems]


def test_an_empty_file_means_the_documented_defaults(tmp_path):
    settings = load(tmp_path, "")
    assert settings.database.url == f"sqlite:///{tmp_path}/var/pantau.db"
    assert settings.mail.transport == "folder"
    assert settings.mail.folder == tmp_path / "var/mail"
    assert settings.polling.max_interval == timedelta(minutes=15)
    assert settings.digest.at == time(8, 0)


def test_the_shipped_default_configuration_is_right():
    settings = load_settings(Path(__file__).parent.parent / "config", {})
    assert settings.mail.transport == "folder"


def test_relative_paths_are_relative_to_the_file_wherever_one_stands(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    settings = load(tmp_path, '[database]\nurl = "sqlite:///data/x.db"\n[mail]\nfolder = "out"')
    assert settings.database.url == f"sqlite:///{tmp_path}/data/x.db"
    assert settings.mail.folder == tmp_path / "out"


def test_the_environment_wins_over_the_file(tmp_path):
    settings = load(tmp_path, "[mail]\nport = 25", PANTAU_MAIL__PORT="2525", PANTAU_CONNECTORS__X__BASE_URL="http://x")
    assert settings.mail.port == 2525
    assert settings.connectors["x"]["base_url"] == "http://x"


def test_a_secret_from_a_file_is_stripped_and_never_shown(tmp_path):
    (tmp_path / "pw").write_text("s3cret\n")
    settings = load(tmp_path, '[mail]\npassword_file = "pw"')
    assert settings.mail.password.reveal() == "s3cret"
    assert "s3cret" not in repr(settings) + str(summary(settings))


def test_a_secret_of_the_environment_replaces_the_secret_file_of_the_toml(tmp_path):
    settings = load(tmp_path, '[mail]\npassword_file = "missing"', PANTAU_MAIL__PASSWORD="direct")
    assert settings.mail.password == Secret("direct")


@pytest.mark.parametrize("text", ["90s", "1.5s", "15m", "90m", "24h", "36h", "7d", "1d"])
def test_a_duration_is_shown_as_it_may_be_written(text):
    assert duration(shown_duration(duration(text))) == duration(text)


def test_a_whole_day_is_shown_as_a_day():
    assert [shown_duration(duration(text)) for text in ("60s", "15m", "24h", "36h")] == ["1m", "15m", "1d", "36h"]


MISTAKES = [
    pytest.param('[mial]\nhost = "x"', "mial", "did you mean mail?", id="unknown section"),
    pytest.param("[mail]\nprot = 25", "mail.prot", "did you mean port?", id="unknown key"),
    pytest.param('[mail]\nport = "many"', "mail.port", "expected a whole number", id="wrong type"),
    pytest.param("[mail]\nport = 70000", "mail.port", "outside 1 to 65535", id="impossible port"),
    pytest.param('[mail]\ntransport = "smpt"', "mail.transport", "did you mean smtp?", id="unknown choice"),
    pytest.param('[mail]\ntransport = "smtp"', "mail.host", "is needed", id="smtp without a host"),
    pytest.param('[mail]\nhost = "smtp://mail.gov.my:25"', "mail.host", "server's name alone", id="host is an address"),
    pytest.param('[mail]\nca_file = "no.pem"', "mail.ca_file", "is no file", id="no certificate there"),
    pytest.param("[network]\nmax_bytes = 0", "network.max_bytes", "is at least", id="answers of no size"),
    pytest.param(
        '[polling]\nlive_window = "999999d"', "polling.live_window", "at most 3650d", id="a duration beyond sense"
    ),
    pytest.param(
        f'[polling]\nlive_window = "{"9" * 400}d"', "polling.live_window", "at most 3650d", id="beyond numbers"
    ),
    pytest.param('[mail]\npassword_file = "no/such"', "mail.password_file", "write the secret", id="no secret file"),
    pytest.param('[mail]\nsender = "Pantau"', "mail.sender", "holds no mail address", id="sender without address"),
    pytest.param(
        '[mail]\ntransport = "smtp"\nhost = "mail.gov.my"\nsecurity = "none"',
        "mail.security",
        "would send in clear",
        id="clear text to another machine",
    ),
    pytest.param('[mail]\nhost = "a\\nb"', "mail.host", "line break", id="a line break in a value"),
    pytest.param('[polling]\nmin_interval = "0.5s"', "polling.min_interval", "at least 1s", id="below the floor"),
    pytest.param('[polling]\nmin_interval = "often"', "polling.min_interval", "such as", id="not a duration"),
    pytest.param('[polling]\nmin_interval = "1h"', "polling.min_interval", "longer than", id="shortest above longest"),
    pytest.param('[polling]\noverlap = "1m"', "polling.overlap", "at least 2m", id="overlap too short"),
    pytest.param('[digest]\nrecipients = ["x"]', "digest.recipients", "is not a mail address", id="bad recipient"),
    pytest.param('[digest]\nat = "25:00"', "digest.at", "time of day", id="bad time of day"),
    pytest.param('[digest]\nweekday = "isnin"', "digest.weekday", "unknown", id="bad weekday"),
    pytest.param('[network]\nallow = ["10.0.0.0/99"]', "network.allow", "expected networks", id="bad network"),
    pytest.param('[web]\nlisten = "8080"', "web.listen", "expected host:port", id="bad listen address"),
    pytest.param('[web]\npublic_url = "pantau.gov.my"', "web.public_url", "begins with https", id="no address"),
    pytest.param('[web]\npublic_url = "https:///a"', "web.public_url", "begins with https", id="an address of nowhere"),
    pytest.param('[web]\npublic_url = "https://p:x"', "web.public_url", "begins with https", id="a port of letters"),
    pytest.param(
        '[web]\npublic_url = "https://p.my/?a=1"', "web.public_url", "without user, ?", id="more than a place"
    ),
    pytest.param(
        '[web]\npublic_url = "http://pantau.gov.my"', "web.public_url", "must not travel in clear", id="links in clear"
    ),
    pytest.param("mail = 3", "mail", "expected a section", id="a value where a section belongs"),
    pytest.param("[mail", "", "is not valid TOML", id="broken TOML"),
]


@pytest.mark.parametrize(("toml", "place", "remedy"), MISTAKES)
def test_each_mistake_names_file_place_and_remedy(tmp_path, toml, place, remedy):
    (found,) = problems_of(tmp_path, toml)
    assert found.startswith(str(tmp_path / "pantau.toml"))
    assert place in found
    assert remedy in found


def test_all_mistakes_are_told_at_once(tmp_path):
    found = problems_of(tmp_path, "[mail]\nprot = 1\n[polling]\nworkers = -1\n[nonsense]\n")
    assert len(found) == 3


def test_a_variable_that_names_no_setting_is_a_mistake(tmp_path):
    (found,) = problems_of(tmp_path, "", PANTAU_MAIL_HOST="x")
    assert "PANTAU_MAIL_HOST" in found
    assert "two underscores" in found


def test_a_folder_without_configuration_says_how_to_get_one(tmp_path):
    with pytest.raises(ConfigurationError, match="pantau init"):
        load_settings(tmp_path / "nowhere", {})


def test_an_unreadable_secret_file_is_named(tmp_path):
    (tmp_path / "pw").write_bytes(b"\xff\xfe\x00")
    (found,) = problems_of(tmp_path, '[mail]\npassword_file = "pw"')
    assert "is not text" in found


@pytest.mark.parametrize(("text", "seconds"), [("1s", 1), ("1.5m", 90), ("24h", 86400), ("7d", 604800), (" 2M ", 120)])
def test_durations(text, seconds):
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("url", ["https://pantau.gov.my/", "https://p.my:8443/pantau", "http://127.0.0.1:8080"])
def test_links_of_mails_may_lead_over_tls_or_to_this_machine(tmp_path, url):
    assert load(tmp_path, f'[web]\npublic_url = "{url}"').web.public_url == url


def test_loading_touches_nothing(tmp_path):
    load(tmp_path, "")
    assert [path.name for path in tmp_path.iterdir()] == ["pantau.toml"]


def test_what_is_no_section_is_named_also_when_the_environment_fills_it(tmp_path):
    told = problems_of(
        tmp_path, 'mail = "x"\nconnectors = 5', PANTAU_MAIL__HOST="h", PANTAU_CONNECTORS__X__BASE_URL="u"
    )
    assert any("mail: expected a section [mail]" in line for line in told)
    assert any("connectors: expected a section [connectors]" in line for line in told)


def test_a_secret_file_of_several_lines_is_named(tmp_path):
    (tmp_path / "token").write_text("first\nsecond\n")
    (told,) = problems_of(tmp_path, '[mail]\npassword_file = "token"')
    assert f"mail.password_file: {tmp_path}/token: has several lines" in told


def test_the_files_that_hold_secrets_are_shown_resolved(tmp_path):
    (tmp_path / "pw").write_text("s3cret\n")
    shown = dict(summary(load(tmp_path, '[mail]\npassword_file = "pw"\n[connectors.x]\nbearer_token_file = "x/token"')))
    assert shown["mail.password_file"] == f"{tmp_path}/pw"
    assert shown["connectors.x.bearer_token_file"] == f"{tmp_path}/x/token"


@pytest.mark.parametrize(
    ("table", "place", "told"),
    [
        ('journal = "Jurnal"', "mailbox.host", "is needed for mailbox.journal"),
        ('host = "imap.example.my"', "mailbox.username", "are needed to sign in"),
        ('host = "imap.example.my"\nusername = "a"\npassword = "b"\nsecurity = "none"', "mailbox.security", "in clear"),
        ('host = "imap.example.my"\nusername = "a"\npassword = "b"\nport = 0', "mailbox.port", "outside 1 to 65535"),
        ('host = "imap.example.my"\nusername = "a"\npassword = "b"\njournal = "Jürnal"', "mailbox.journal", "UTF-7"),
    ],
)
def test_a_mailbox_that_cannot_work_is_a_mistake(tmp_path, table, place, told):
    (tmp_path / "pantau.toml").write_text(f"[mailbox]\n{table}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(tmp_path, {})
    assert [(problem.place, told in problem.message) for problem in caught.value.problems] == [(place, True)]


@pytest.mark.parametrize(
    ("toml", "name", "value"),
    [("", "PANTAU_MAIL__HOTS", "x"), ("[polling]\nworkers = 2\n", "PANTAU_POLLING__WORKERS", "many")],
)
def test_a_mistake_in_a_variable_names_the_variable_and_not_the_file(tmp_path, toml, name, value):
    (found,) = problems_of(tmp_path, toml, **{name: value})
    assert found.startswith(f"environment: {name}: ")


def test_a_secret_written_where_its_file_belongs_is_not_shown(tmp_path):
    secret = "AAAAAAAAAAAAAAAAAAAAAMLheAAAAAAA0%2BuSeid"
    (found,) = problems_of(tmp_path, f'[mail]\npassword_file = "{secret}"')
    assert secret not in found
    assert "write the secret into a file, and its name here" in found


def test_a_secret_file_that_we_may_not_read_asks_for_the_right_to_it(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    (found,) = problems_of(tmp_path, '[mail]\npassword_file = "pw"')
    assert found.endswith("pw: cannot be read (Permission denied); let Pantau's user read it")
