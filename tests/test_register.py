import csv
import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import pytest
from builders import account, agency

from connectors import ALIASES, CONNECTORS
from connectors.addresses import match
from monitor.configuration import read_register
from monitor.model import AccountStatus, Language
from monitor.problems import suggestion
from monitor.register import (
    account_key,
    merge_accounts,
    read_accounts,
    read_agencies,
    write_accounts,
    write_agencies,
)

AGENCY_HEAD = (
    "code,name,kind,state,language,head_salutation,head_name,head_title,head_email,deputy_email,ictso_email,"
    "comms_email,head_since"
)
ACCOUNT_HEAD = "agency,platform,handle,url,status,note"


def agencies_of(text, encoding="utf-8"):
    return read_agencies(text.encode(encoding), file="agencies.csv")


def accounts_of(text, known=("JPD",)):
    data = f"{ACCOUNT_HEAD}\n{text}".encode()
    return read_accounts(
        data, file="accounts.csv", agencies=known, platforms=CONNECTORS.keys(), aliases=ALIASES, match=match
    )


ROW = "JPD,Jabatan Demo,department,PJY,ms,Y.Bhg. Datuk,Aminah,Ketua Pengarah,a@jpd.gov.my,,,,2026-01-01"


def test_excel_s_export_is_read_with_bom_semicolons_quoted_line_breaks_and_trailing_spaces():
    text = (
        AGENCY_HEAD.replace(",", ";")
        + "\r\n"
        + 'JPD ;"Jabatan\r\nDemo";Department;pjy;;;Aminah;;a@jpd.gov.my ;;;;1/2/2026\r\n'
    )
    (found,), problems = agencies_of("\ufeff" + text)
    assert not problems
    assert (found.code, found.name, found.language) == ("JPD", "Jabatan Demo", Language.MS)
    assert found.contacts.head_email == "a@jpd.gov.my"
    assert found.contacts.since == datetime(2026, 1, 31, 16, tzinfo=UTC)  # midnight in Malaysia


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_every_encoding_of_excel_is_understood(encoding):
    (found,), problems = agencies_of(f"{AGENCY_HEAD}\n{ROW.replace('Aminah', 'Zoë')}", encoding)
    assert not problems
    assert found.contacts.head_name == "Zoë"


def test_what_nobody_sees_in_a_pasted_cell_is_left_out():
    (found,), problems = accounts_of("JPD\u200b,x,\u202a\ufeffhttps://x.com/jpd_demo\u202c\u200e,,\u00a0active,")
    assert not problems
    assert (found.agency, found.handle, found.url) == ("JPD", "jpd_demo", "https://x.com/jpd_demo")


def test_the_line_that_tells_excel_the_delimiter_is_no_header():
    text = f"sep=;\r\n{AGENCY_HEAD}\r\n{ROW}".replace(",", ";")
    (found,), problems = agencies_of(text)
    assert not problems
    assert found.code == "JPD"


AGENCY_MISTAKES = [
    pytest.param("kind", "minister", "did you mean ministry?", id="unknown kind"),
    pytest.param("state", "KL", "unknown", id="unknown state"),
    pytest.param("language", "malay", "unknown", id="unknown language"),
    pytest.param("head_email", "a at jpd", "is not one mail address", id="bad address"),
    pytest.param("head_email", "", "nobody could be told", id="nobody to tell"),
    pytest.param("code", "", "is missing", id="no code"),
    pytest.param("head_since", "31/31/2026", "expected a date", id="bad date"),
    pytest.param("head_since", "46053", "in Excel, format the column as a date", id="a date as Excel counts days"),
]


@pytest.mark.parametrize(("column", "value", "remedy"), AGENCY_MISTAKES)
def test_a_mistake_in_agencies_names_file_line_column_and_remedy(column, value, remedy):
    cells = dict(zip(AGENCY_HEAD.split(","), ROW.split(","), strict=True)) | {column: value}
    _, (problem,) = agencies_of(f"{AGENCY_HEAD}\n\n{','.join(cells.values())}")
    assert str(problem).startswith(f"agencies.csv: line 3: {column}: ")
    assert remedy in str(problem)


ACCOUNT_MISTAKES = [
    pytest.param("JPD,twiter,jpd,,,", "platform: 'twiter': unknown; did you mean x?", id="unknown platform"),
    pytest.param("JPX,x,jpd,,,", "agency: 'JPX': not in agencies.csv; did you mean JPD?", id="unknown agency"),
    pytest.param("JPD,x,,,,", "handle: is missing", id="neither handle nor url"),
    pytest.param("JPD,rss,,,,", "url: is missing", id="a feed without its address"),
    pytest.param("JPD,x,jpd,,aktif,", "status: 'aktif': unknown", id="unknown status"),
    pytest.param("JPD,x,jpd,not a url,,", "expected an address that begins with https://", id="bad url"),
    pytest.param("JPD,x,,https://x.com/home,,", "is no profile address on x", id="an address that names no profile"),
    pytest.param("JPD,x,jpd,,,,,surplus", "quote cells", id="too many cells"),
    pytest.param(
        "JPD,x,nama_yang_terlalu_panjang,,,", "no account on x can be called so", id="a handle too long for x"
    ),
    pytest.param("JPD,instagram,jpd-demo,,,", "no account on instagram can be called so", id="a dash on Instagram"),
    pytest.param("JPD,tiktok,../jpd,,,", "no account on tiktok can be called so", id="a path for a name"),
    pytest.param(
        "JPD,linkedin,,https://www.linkedin.com/in/pegawai,,",
        "no profile address on linkedin",
        id="a member of LinkedIn",
    ),
    pytest.param("JPD,facebook,6.01E+14,,,", "Excel has cut this number short", id="a page's number cut short"),
    pytest.param('JPD,instagram,"1,78E+16",,,', "Excel has cut this number short", id="cut short, decimal comma"),
    pytest.param("JPD,x,ada ruang,,,", "no account on x can be called so", id="a handle with a blank"),
    pytest.param(
        "JPD,x,jpd,https://www.facebook.com/jpd,,",
        "is an address on facebook, and the row says x",
        id="an address elsewhere",
    ),
]


@pytest.mark.parametrize(("row", "message"), ACCOUNT_MISTAKES)
def test_a_mistake_in_accounts_names_line_and_remedy(row, message):
    _, problems = accounts_of(row)
    assert [p.place for p in problems] == ["line 2"]
    assert message in problems[0].message


def test_every_mistake_of_a_file_is_told_at_once_and_sound_rows_are_found():
    found, problems = accounts_of("JPD,x,jpd,,,\nNO,x,a,,,\nJPD,no,a,,,\nJPD,x,JPD,,,")
    assert [p.place for p in problems] == ["line 3", "line 4", "line 5"]
    assert "stands already in line 2" in problems[-1].message
    assert [one.handle for one in found] == ["jpd"]


def test_a_quotation_mark_without_its_twin_is_named():
    _, problems = accounts_of('JPD,x,"jpd,,,\nJPD,x,b,,,')
    assert "quotation mark" in problems[0].message


def test_an_unknown_column_is_named_with_a_suggestion():
    _, problems = read_agencies(AGENCY_HEAD.replace("state", "sate").encode(), file="a.csv")
    assert "column 'sate': unknown; did you mean state?" in str(problems[0])
    assert "column 'state': is missing" in str(problems[1])


@pytest.mark.parametrize(
    ("column", "written", "meant"),
    [("state", "Selangor", "SGR"), ("state", "pulau pinang", "PNG"), ("language", "Bahasa Melayu", "ms")],
)
def test_a_name_where_a_code_belongs_is_answered_with_the_code(column, written, meant):
    rows = list(csv.reader(write_agencies([agency()]).decode("utf-8-sig").splitlines()))
    rows[1][rows[0].index(column)] = written
    _, problems = read_agencies("\n".join(",".join(row) for row in rows).encode(), file="a.csv")
    assert f"'{written}': unknown; did you mean {meant}?" in str(problems[0])


def test_more_known_words_than_a_person_reads_are_not_listed():
    assert suggestion("zz", ["aa", "bb"]) == "; known: aa, bb"
    assert suggestion("zz", map(str, range(99))) == ""
    assert suggestion("zz", []) == ""


def test_twitter_is_accepted_as_x_and_addresses_are_understood():
    found, problems = accounts_of("jpd,Twitter,@JPD_my,,,\nJPD,,,https://www.facebook.com/jpd.my/,Paused,")
    assert not problems
    assert [(a.agency, a.platform, a.handle, a.status) for a in found] == [
        ("JPD", "x", "JPD_my", AccountStatus.ACTIVE),
        ("JPD", "facebook", "jpd.my", AccountStatus.PAUSED),
    ]


@pytest.mark.parametrize(
    ("platform", "cell", "handle"),
    [
        ("facebook", "www.facebook.com/jpd.my/", "jpd.my"),
        ("telegram", "t.me/s/jpdrasmi", "jpdrasmi"),
        ("instagram", "instagram.com/jpd.my", "jpd.my"),
    ],
)
def test_an_address_without_its_scheme_is_an_address_in_the_handle_s_place_too(platform, cell, handle):
    (found,), problems = accounts_of(f"JPD,{platform},{cell},,,")
    assert not problems
    assert (found.handle, found.url) == (handle, f"https://{cell}")


def test_what_is_written_reads_back_the_same():
    one = agency(since=datetime(2026, 1, 31, 16, tzinfo=UTC), head_title='Ketua "Pengarah",\nKanan')
    (back,), problems = read_agencies(write_agencies([one]), file="a")
    assert not problems
    assert back == dataclasses.replace(
        one, contacts=dataclasses.replace(one.contacts, head_title='Ketua "Pengarah", Kanan')
    )
    two = [account("jpd"), account("feed", "rss", url="https://jpd.example.my/feed.xml", note="a, b")]
    read, problems = read_accounts(
        write_accounts(two), file="a", agencies=["JPD"], platforms=CONNECTORS, aliases=ALIASES, match=match
    )
    assert not problems
    assert read == two


def test_importing_again_replaces_the_same_account_and_adds_the_new():
    merged = merge_accounts([account("jpd"), account("b")], [account("JPD", note="new"), account("c")])
    assert [(a.handle, a.note) for a in merged] == [("JPD", "new"), ("b", ""), ("c", "")]


def test_a_feed_is_the_same_account_by_its_address_not_by_its_name():
    first, second = (account("feed", "rss", url=f"https://a.my/{n}") for n in "ab")
    assert account_key(first) != account_key(second)


def test_a_bad_row_in_agencies_csv_does_not_make_its_accounts_wrong_as_well(tmp_path):
    register = tmp_path / "register"
    register.mkdir()
    (register / "agencies.csv").write_text(f"{AGENCY_HEAD}\n{ROW.replace('2026-01-01', '2026-02-31')}\n")
    (register / "accounts.csv").write_text(f"{ACCOUNT_HEAD}\nJPD,x,jpd,,,\nJDP,x,jdp,,,\n")
    assert [f"{one.place}: {one.message}" for one in mistakes_in(tmp_path)] == [
        "line 2: head_since: '2026-02-31': expected a date such as 2026-01-31 or 31/1/2026",
        "line 3: agency: 'JDP': not in agencies.csv; did you mean JPD?",
    ]


@pytest.mark.parametrize("head", [AGENCY_HEAD.replace("code", "kod"), f'{AGENCY_HEAD}\n"JPD'])
def test_where_agencies_csv_cannot_be_read_nothing_is_said_of_what_it_names(tmp_path, head):
    register = tmp_path / "register"
    register.mkdir()
    (register / "agencies.csv").write_text(f"{head}\n{ROW}\n")
    (register / "accounts.csv").write_text(f"{ACCOUNT_HEAD}\nJPD,x,jpd,,,\n")
    assert {Path(one.file).name for one in mistakes_in(tmp_path)} == {"agencies.csv"}


def mistakes_in(folder):
    problems = []
    read_register(folder, problems)
    return problems


def test_accounts_before_agencies_are_told_the_order_once():
    _, problems = accounts_of("JPD,x,jpd,,,\nKKM,x,kkm,,,\n", known=())
    assert [str(one) for one in problems] == [
        "accounts.csv: line 2: agency: 'JPD': not in agencies.csv, which names none yet; import the agencies first"
    ]


def test_one_register_given_for_the_other_is_told_once():
    _, problems = read_agencies(f"{ACCOUNT_HEAD}\nJPD,x,jpd,,,\n".encode(), file="register.csv")
    assert [str(one) for one in problems] == [
        "register.csv: line 1: has the columns of accounts.csv; `pantau accounts import` takes it"
    ]


def test_an_excel_workbook_is_named_as_one_whatever_its_name():
    _, problems = read_agencies(b"PK\x03\x04\x14\x00\x06\x00", file="agencies.csv")
    assert [str(one) for one in problems] == ["agencies.csv: is an Excel workbook; save it as CSV UTF-8"]
