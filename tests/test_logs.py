import json
import logging
from pathlib import Path

import pytest
import structlog

from monitor.logs import redaction, scrubbed, start_error_reports, start_logging
from monitor.settings import Log, Secret, Sentry


@pytest.fixture
def quiet_root():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("line", "hidden"),
    [
        pytest.param("GET https://graph.facebook.com/v26.0/1?access_token=EAAB123&limit=5", "EAAB123", id="query"),
        pytest.param("Authorization: Bearer AAAAAAAAAAAAAAAAAA%2Bxyz", "AAAAAAAAAAAAAAAAAA%2Bxyz", id="header"),
        pytest.param("login with hunter2hunter2 failed", "hunter2hunter2", id="a secret of the configuration"),
        pytest.param("appsecret_proof=deadbeef00", "deadbeef00", id="proof"),
    ],
)
def test_no_line_carries_a_secret(line, hidden):
    assert hidden not in redaction([Secret("hunter2hunter2")])(line)


def test_a_short_secret_does_not_blank_ordinary_words():
    assert redaction([Secret("a")])("an account") == "an account"


@pytest.mark.parametrize("form", ["text", "json"])
def test_tracebacks_and_foreign_loggers_pass_the_redaction(form, capsys, quiet_root):
    start_logging(Log(format=form), [Secret("hunter2hunter2")])
    try:
        raise ValueError("token hunter2hunter2 refused")
    except ValueError:
        structlog.get_logger("a").exception("failed", account="x/jpd")
    logging.getLogger("foreign").warning("see https://a/?access_token=EAAB123")
    written = capsys.readouterr().err
    assert "hunter2" not in written
    assert "EAAB123" not in written
    assert "ValueError" in written
    assert "x/jpd" in written


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_tells_the_way_and_never_the_words_of_an_error(form, capsys, quiet_root):
    """I12: a library's message may repeat the post it choked on, also as the cause of another error."""
    start_logging(Log(format=form), [])

    text = "SULIT-MARKER"

    def choke():
        try:
            raise KeyError(text)
        except KeyError as cause:
            raise ValueError(text) from cause

    for logger in (structlog.get_logger("a"), logging.getLogger("foreign")):
        try:
            choke()
        except ValueError:
            logger.exception("failed")
        written = capsys.readouterr().err
        assert text not in written
        assert "choke" in written
        assert "ValueError" in written
        assert "KeyError" in written
    try:
        Path("/no/such/file").read_bytes()
    except OSError:
        structlog.get_logger("a").exception("failed")
    assert "No such file or directory" in capsys.readouterr().err


def test_a_line_that_cannot_be_written_is_not_printed_past_the_redaction(capsys, quiet_root):
    start_logging(Log(format="json"), [])
    logging.getLogger("foreign").warning("%d posts", "SULIT-MARKER")
    written = capsys.readouterr().err
    assert "a log line of foreign was lost (TypeError)" in written
    assert "MARKER" not in written


def test_a_log_of_errors_alone_has_no_warnings_of_libraries(capsys, quiet_root):
    start_logging(Log(level="error"), [])
    logging.getLogger("apscheduler").warning("skipped")
    logging.getLogger("apscheduler").error("failed")
    written = capsys.readouterr().err
    assert "skipped" not in written
    assert "failed" in written


def test_the_scheduler_does_not_warn_of_every_second_that_a_long_tick_takes(capsys, quiet_root):
    start_logging(Log(level="info"), [])
    logging.getLogger("apscheduler.scheduler").warning("maximum number of running instances reached")
    logging.getLogger("apscheduler.executors").error("failed")
    written = capsys.readouterr().err
    assert "maximum number" not in written
    assert "failed" in written


def test_json_lines_are_json(capsys, quiet_root):
    start_logging(Log(format="json"), [])
    structlog.get_logger("a").info("checked", account="x/jpd", new=2)
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["account"], line["new"], line["level"]) == ("checked", "x/jpd", 2, "info")


def test_error_reports_are_off_by_default():
    assert start_error_reports(Sentry(), release="1") is False


def test_an_error_report_holds_the_place_and_nothing_else():
    event = {
        "event_id": "1",
        "message": "MARKER",
        "extra": {"a": "MARKER"},
        "breadcrumbs": {"values": ["MARKER"]},
        "request": {"data": "MARKER"},
        "user": {"ip": "MARKER"},
        "exception": {
            "values": [
                {
                    "type": "ValueError",
                    "value": "MARKER",
                    "stacktrace": {
                        "frames": [
                            {"function": "judge", "lineno": 3, "vars": {"t": "MARKER"}, "context_line": "MARKER"}
                        ]
                    },
                }
            ]
        },
    }
    kept = scrubbed(event, {})
    assert "MARKER" not in json.dumps(kept)
    assert kept["exception"]["values"][0]["stacktrace"]["frames"] == [{"function": "judge", "lineno": 3}]
