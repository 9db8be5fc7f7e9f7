"""agencies.csv and accounts.csv as officers export them from Excel → model. Pure; every mistake with file and line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from urllib.parse import urlsplit

from monitor.model import MALAYSIA, Account, AccountStatus, Agency, AgencyKind, Contacts, Language, State
from monitor.problems import Problem, suggestion
from monitor.settings.values import is_mail_address

AGENCY_COLUMNS = (
    "code",
    "name",
    "kind",
    "state",
    "language",
    "head_salutation",
    "head_name",
    "head_title",
    "head_email",
    "deputy_email",
    "ictso_email",
    "comms_email",
    "head_since",
)
ACCOUNT_COLUMNS = ("agency", "platform", "handle", "url", "status", "note")
REGISTERS = {"agencies.csv": AGENCY_COLUMNS, "accounts.csv": ACCOUNT_COLUMNS}
NEED_URL = frozenset({"rss", "web"})
# What a handle looks like, where the platform says so. Facebook also has old pages with no handle but a number.
HANDLES = {
    "x": r"\w{1,15}",
    "myspace": r"[\w.-]{1,64}",
    "instagram": r"[\w.]{1,30}",
    "threads": r"[\w.]{1,30}",
    "tiktok": r"[\w.]{1,24}",
    "bluesky": r"(?:[\w-]{1,63}\.)+[\w-]{2,63}|did:[a-z]+:[\w.:%-]+",  # a domain name, or a DID
    "mastodon": r"[\w.-]{1,64}@[\w-]+(?:\.[\w-]+)+(?::\d+)?",  # user@server
}
# What Excel makes of a number of twelve digits and more.
SHORTENED = re.compile(r"\d[.,]\d+E\+\d+", re.ASCII | re.IGNORECASE)
Match = Callable[[str], tuple[str, str] | None]


def account_key(account: Account) -> tuple[str, str]:
    """Return what makes an account the same account: platform, and handle in any letter case (else the url)."""
    if account.platform in NEED_URL:
        return account.platform, account.url
    return account.platform, account.handle.casefold() or account.url


@dataclass(frozen=True, slots=True)
class Row:
    line: int  # where the row begins in the file, counting quoted line breaks
    cells: Mapping[str, str]


# Comes along when an address is copied from a page or a chat, and is seen by nobody.
_UNSEEN = dict.fromkeys(map(ord, "\u00ad\u200b\u200e\u200f\u2060\ufeff\u202a\u202b\u202c\u202d\u202e")) | {0xA0: " "}
WORKBOOK = b"PK\x03\x04"  # how an .xlsx file begins, whatever its name says


def decode(data: bytes) -> str:
    """Return the text of a file in any of Excel's encodings: UTF-8 with or without BOM, UTF-16, Windows-1252."""
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _rows(data: bytes, columns: Sequence[str], *, file: str, problems: list[Problem]) -> Iterator[Row]:
    if data.startswith(WORKBOOK):
        problems.append(Problem(file=file, place="", message="is an Excel workbook; save it as CSV UTF-8"))
        return
    text = decode(data)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    line = 1
    while True:
        begins = line
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            message = f"cannot be read from here on ({error}); look for a quotation mark without its twin"
            problems.append(Problem(file=file, place=f"line {begins}", message=message))
            return
        line = reader.line_num + 1
        values = [cell.translate(_UNSEEN).strip() for cell in cells]
        if not any(values) or (header is None and values[0].startswith("sep=")):  # which tells Excel the delimiter
            continue
        if header is None:
            header = [value.casefold() for value in values]
            if not _header_fits(header, columns, file, begins, problems):
                return
            continue
        if any(values[len(header) :]):
            message = f"has {len(values)} cells for {len(header)} columns; quote cells that hold a '{delimiter}'"
            problems.append(Problem(file=file, place=f"line {begins}", message=message))
            continue
        given = dict(zip(header, values, strict=False))
        yield Row(begins, {name: given.get(name, "") for name in columns})
    if header is None:
        message = f"is empty; the first line names the columns: {','.join(columns)}"
        problems.append(Problem(file=file, place="line 1", message=message))


def _header_fits(header: Sequence[str], columns: Sequence[str], file: str, line: int, problems: list[Problem]) -> bool:
    place = f"line {line}"
    for other, theirs in REGISTERS.items():
        if set(theirs) - OPTIONAL <= set(header) and theirs != columns:
            message = f"has the columns of {other}; `pantau {other.removesuffix('.csv')} import` takes it"
            problems.append(Problem(file=file, place=place, message=message))
            return False
    wrong = [
        Problem(file=file, place=place, message=f"column '{name}': unknown{suggestion(name, columns)}")
        for name in header
        if name and name not in columns
    ]
    wrong += [
        Problem(file=file, place=place, message=f"column '{name}': stands twice")
        for name in sorted({n for n in header if n and header.count(n) > 1})
    ]
    wrong += [
        Problem(file=file, place=place, message=f"column '{name}': is missing")
        for name in columns
        if name not in header and name not in OPTIONAL
    ]
    problems += wrong
    return not wrong


OPTIONAL = frozenset(
    {
        "head_salutation",
        "head_title",
        "deputy_email",
        "ictso_email",
        "comms_email",
        "head_since",
        "note",
        "url",
        "status",
    }
)

# What a person writes for a code; suggested, not accepted, so that a register reads the same everywhere.
NAMES: Mapping[type, Mapping[str, str]] = {
    State: {
        "Johor": "JHR",
        "Kedah": "KDH",
        "Kelantan": "KTN",
        "Kuala Lumpur": "KUL",
        "Labuan": "LBN",
        "Melaka": "MLK",
        "Negeri Sembilan": "NSN",
        "Pahang": "PHG",
        "Putrajaya": "PJY",
        "Perlis": "PLS",
        "Pulau Pinang": "PNG",
        "Penang": "PNG",
        "Perak": "PRK",
        "Sabah": "SBH",
        "Selangor": "SGR",
        "Sarawak": "SWK",
        "Terengganu": "TRG",
    },
    Language: {
        "Melayu": "ms",
        "Malay": "ms",
        "Bahasa Melayu": "ms",
        "BM": "ms",
        "English": "en",
        "Inggeris": "en",
        "BI": "en",
    },
    AccountStatus: {"aktif": "active", "dijeda": "paused", "ditamatkan": "retired"},
}


def _choice(kind: type, text: str, default: str = "") -> str:
    """Return the enum's value for a cell, in any letter case. Raises ValueError with a suggestion."""
    known = {str(member.value).casefold(): str(member.value) for member in kind}  # type: ignore[attr-defined]
    wanted = (text or default).casefold()
    if wanted not in known:
        meant = suggestion(wanted, known.values(), aliases=NAMES.get(kind, {}))
        raise ValueError(f"'{text}': unknown{meant}" if text else "is missing")
    return known[wanted]


def _date(text: str) -> datetime | None:
    """Read 2026-01-31 or 31/1/2026 as that day's beginning in Malaysia. Raises ValueError."""
    if not text:
        return None
    iso = re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T]00:00(?::00)?)?", text)
    local = re.fullmatch(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})", text)
    try:
        if iso:
            day = date(int(iso[1]), int(iso[2]), int(iso[3]))
        elif local:
            day = date(int(local[3]), int(local[2]), int(local[1]))
        else:
            raise ValueError
    except ValueError:
        hint = "; in Excel, format the column as a date" if re.fullmatch(r"\d{5}", text) else ""
        raise ValueError(f"'{text}': expected a date such as 2026-01-31 or 31/1/2026{hint}") from None
    return datetime(day.year, day.month, day.day, tzinfo=MALAYSIA).astimezone(UTC)


class _Cells:
    """Reads one row's cells and collects what is wrong with them under their column's name."""

    def __init__(self, row: Row, file: str, problems: list[Problem]) -> None:
        self.row, self.file, self.problems, self.sound = row, file, problems, True

    def wrong(self, column: str, message: str) -> None:
        self.sound = False
        self.problems.append(Problem(file=self.file, place=f"line {self.row.line}", message=f"{column}: {message}"))

    def read(self, column: str, reader: Callable[[str], str]) -> str:
        try:
            return reader(self.row.cells[column])
        except ValueError as error:
            self.wrong(column, str(error))
            return ""

    def text(self, column: str, *, needed: bool = False) -> str:
        value = " ".join(self.row.cells[column].split())
        if needed and not value:
            self.wrong(column, "is missing")
        return value

    def address(self, column: str) -> str:
        value = self.row.cells[column]
        if value and not is_mail_address(value):
            self.wrong(column, f"'{value}' is not one mail address; write name@agensi.gov.my")
        elif not value.rpartition("@")[0].isascii():
            self.wrong(column, f"'{value}': mail servers take only plain letters before the @")
        return value


def read_agencies(data: bytes, *, file: str) -> tuple[list[Agency], list[Problem]]:
    """Read agencies.csv. Returns the sound rows and every mistake; use the rows only when there is none."""
    problems: list[Problem] = []
    agencies: list[Agency] = []
    first_line: dict[str, int] = {}
    for row in _rows(data, AGENCY_COLUMNS, file=file, problems=problems):
        cells = _Cells(row, file, problems)
        agency = _agency(cells)
        key = agency.code.casefold() if agency else ""
        if agency and key in first_line:
            cells.wrong("code", f"'{agency.code}' stands already in line {first_line[key]}")
        elif agency:
            first_line[key] = row.line
            agencies.append(agency)
    return agencies, problems


def named_codes(data: bytes) -> list[str] | None:
    """Return the codes that agencies.csv names, also in rows with mistakes. None: not all of it could be read."""
    problems: list[Problem] = []
    codes = [row.cells["code"] for row in _rows(data, AGENCY_COLUMNS, file="", problems=problems)]
    return None if problems else codes


def _agency(cells: _Cells) -> Agency | None:
    code = cells.text("code", needed=True)
    name = cells.text("name", needed=True)
    kind = cells.read("kind", lambda text: _choice(AgencyKind, text))
    state = cells.read("state", lambda text: _choice(State, text))
    language = cells.read("language", lambda text: _choice(Language, text, "ms"))
    head, deputy, ictso, comms = (
        cells.address(column) for column in ("head_email", "deputy_email", "ictso_email", "comms_email")
    )
    if not (cells.row.cells["head_email"] or deputy or ictso):
        cells.wrong("head_email", "is missing, and so are deputy_email and ictso_email: nobody could be told")
    since: datetime | None = None
    try:
        since = _date(cells.row.cells["head_since"])
    except ValueError as error:
        cells.wrong("head_since", str(error))
    if not cells.sound:
        return None
    people = Contacts(
        head_salutation=cells.text("head_salutation"),
        head_name=cells.text("head_name"),
        head_title=cells.text("head_title"),
        head_email=head,
        deputy_email=deputy,
        ictso_email=ictso,
        comms_email=comms,
        since=since,
    )
    return Agency(
        code=code,
        name=name,
        kind=AgencyKind(kind),
        state=State(state),
        language=Language(language),
        contacts=people,
    )


def read_accounts(
    data: bytes,
    *,
    file: str,
    agencies: Collection[str] | None,
    platforms: Collection[str],
    aliases: Mapping[str, str],
    match: Match,
) -> tuple[list[Account], list[Problem]]:
    """Read accounts.csv. `match` turns a pasted profile address into (platform, handle).

    `agencies` are the codes that agencies.csv names; None when that is not known, because it cannot be read.

    Returns the sound rows and every mistake; use the rows only when there is none.
    """
    problems: list[Problem] = []
    accounts: list[Account] = []
    first_line: dict[tuple[str, str], int] = {}
    codes = None if agencies is None else {code.casefold(): code for code in agencies}
    for row in _rows(data, ACCOUNT_COLUMNS, file=file, problems=problems):
        cells = _Cells(row, file, problems)
        account = _account(cells, codes, platforms, aliases, match)
        codes = codes or None  # that there are no agencies at all is said once
        if account is None:
            continue
        key = account_key(account)
        if key in first_line:
            cells.wrong("handle", f"'{account.label}' stands already in line {first_line[key]}")
        else:
            first_line[key] = row.line
            accounts.append(account)
    return accounts, problems


def _account(
    cells: _Cells,
    codes: Mapping[str, str] | None,
    platforms: Collection[str],
    aliases: Mapping[str, str],
    match: Match,
) -> Account | None:
    agency = cells.text("agency", needed=True)
    if agency and codes is not None and agency.casefold() not in codes:
        known = suggestion(agency, codes.values()) if codes else ", which names none yet; import the agencies first"
        cells.wrong("agency", f"'{agency}': not in agencies.csv{known}")
    handle, url = cells.text("handle"), cells.text("url")
    if not url and "/" in handle and ("://" in handle or match(handle)):
        handle, url = "", handle if "://" in handle else f"https://{handle}"
    if url and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname):
        cells.wrong("url", f"'{url}': expected an address that begins with https://")
        return None
    pasted = match(url) if url else None
    platform = _platform(cells, pasted[0] if pasted else "", platforms, aliases)
    if not platform:
        return None
    handle = handle.lstrip("@")
    if not handle and pasted and pasted[0] == platform:
        handle = pasted[1]
    if pasted and pasted[0] != platform:
        cells.wrong("url", f"'{url}' is an address on {pasted[0]}, and the row says {platform}; keep the right one")
    handle = _named(cells, platform, handle, url)
    status = cells.read("status", lambda text: _choice(AccountStatus, text, "active"))
    if not cells.sound:
        return None
    return Account(
        agency=agency if codes is None else codes[agency.casefold()],
        platform=platform,
        handle=handle,
        url=url,
        status=AccountStatus(status),
        note=cells.text("note"),
    )


def _platform(cells: _Cells, pasted: str, platforms: Collection[str], aliases: Mapping[str, str]) -> str:
    """Return the platform by its present name; what the address says serves an empty cell. Empty: unknown."""
    platform = cells.text("platform").casefold() or pasted
    platform = aliases.get(platform, platform)
    if platform in platforms:
        return platform
    wanted = cells.text("platform")
    meant = suggestion(platform, platforms, aliases=aliases)
    cells.wrong("platform", f"'{wanted}': unknown{meant}" if wanted else "is missing")
    return ""


def _named(cells: _Cells, platform: str, handle: str, url: str) -> str:
    """Return the handle to show and to ask for; a feed without one is named by its address."""
    if not url and platform in NEED_URL:
        cells.wrong("url", f"is missing: for {platform} it is what is read")
    if not handle and platform in NEED_URL and url:
        handle = _name_of(url)
    if not handle and not url and platform not in NEED_URL:
        cells.wrong("handle", "is missing, and so is url")
    elif not handle and platform not in NEED_URL and platform != "myspace":
        cells.wrong("handle", f"is missing, and '{url}' is no profile address on {platform}")
    if SHORTENED.fullmatch(handle):
        cells.wrong("handle", f"'{handle}': Excel has cut this number short; make the column text, and write it again")
    elif handle and platform in HANDLES and not re.fullmatch(HANDLES[platform], handle, re.ASCII):
        cells.wrong("handle", f"'{handle}': no account on {platform} can be called so; write it as in its address")
    return handle


def _name_of(url: str) -> str:
    """Return the name of a feed that has none of its own."""
    parts = urlsplit(url)
    return f"{parts.hostname}{parts.path}".rstrip("/")


def merge_agencies(present: Iterable[Agency], imported: Iterable[Agency]) -> list[Agency]:
    """Return the register with imported rows replacing those of the same code, new ones at the end."""
    merged = {one.code.casefold(): one for one in present}
    merged |= {one.code.casefold(): one for one in imported}
    return list(merged.values())


def merge_accounts(present: Iterable[Account], imported: Iterable[Account]) -> list[Account]:
    """Return the register with imported rows replacing those of the same account, new ones at the end."""
    merged = {account_key(one): one for one in present}
    merged |= {account_key(one): one for one in imported}
    return list(merged.values())


def write_agencies(agencies: Iterable[Agency]) -> bytes:
    return _written(AGENCY_COLUMNS, (_agency_cells(one) for one in agencies))


def _agency_cells(one: Agency) -> list[str]:
    people = one.contacts
    since = people.since.astimezone(MALAYSIA).date().isoformat() if people.since else ""
    return [
        one.code,
        one.name,
        one.kind.value,
        one.state.value,
        one.language.value,
        people.head_salutation,
        people.head_name,
        people.head_title,
        people.head_email,
        people.deputy_email,
        people.ictso_email,
        people.comms_email,
        since,
    ]


def write_accounts(accounts: Iterable[Account]) -> bytes:
    rows = ([a.agency, a.platform, a.handle, a.url, a.status.value, a.note] for a in accounts)
    return _written(ACCOUNT_COLUMNS, rows)


def _written(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue().encode()
