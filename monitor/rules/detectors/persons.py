"""Persons: names by their form, lists of them, and private e-mail addresses. Pure.

Facts: Malay names join with bin and binti, Indian ones with a/l and a/p (anak lelaki, anak perempuan), by
common use; Chinese ones begin with the family's name. The words below are common ones (by habit).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from monitor.rules.detectors.detector import Detector
from monitor.rules.lexicon import word_set
from monitor.rules.text import Span, Text

_JOINS = r"bin|binti|bte?|a/l|a/p|s/o|d/o"
_TITLES = r"encik|en\.|puan|pn\.|cik|tuan|mr\.?|mrs\.?|ms\.?|madam|miss|ustazah?|cikgu|sdra?\.?|saudara|saudari"
_WORD = r"[a-z][a-z'`.]{0,20}(?![a-z0-9])"
_JOIN = re.compile(rf"(?<= )(?:{_JOINS})\.? (?=[a-z])", re.ASCII)
_BEFORE = re.compile(r"[a-z][a-z'`@ -]{0,60} \Z", re.ASCII)
_AFTER = re.compile(rf"{_WORD}(?: {_WORD}){{0,3}}", re.ASCII)
_TITLED = re.compile(rf"(?<![\w/-])(?:{_TITLES}) (?=(?P<name>{_WORD}(?: {_WORD}){{0,3}}))", re.ASCII)
_NO_NAME = word_set(
    "tinggal menetap berasal meninggal dilaporkan "
    "diy excel word universe world malaysia juara johan naib menang hadir jadi dgn buka "
    "ada adalah agar akan aku alamat anak anda anggota antara apa atas atau awak awam baharu bahawa bahru baik bagi "
    "baru beberapa belum berikut bersama boleh buat bukan cuti dah dalam dan dapat dapatkan dari daripada datang "
    "dengan di dia dilantik dlm dgn encik hari harus hendak hubungi ia ialah ibu ini itu jam jangan jawatan jemput "
    "jemputan jika juga kad kali kalau kaunter kami kat ke kena kepada kerana ketua kini kita kp kpd lain lagi "
    "lantikan layan mak mangsa masih masuk mereka mesti mohon nak nama no nombor oleh orang pada para pegawai "
    "pejabat pelajar pemilik penerima pengarah penjaga pengadu pesakit peserta pemenang perlu penduduk punya rumah "
    "sahaja saja sama sampai sangat satu saya sebagai sebelum sedang sekarang sekalian selaku selamat selepas semua "
    "senarai seorang seperti sila suami isteri supaya sudah tahun tak tanah tanya telah tentang tetapi tiada tidak "
    "tolong tuan puan turut umur unit untuk utk warga wakil wanita waktu ya yang yg yb telefon tel hp terima kasih "
    "tahniah takziah dan/atau ic rumahtangga guru bapa ayah pernah membuat minta memohon yth a about all am an and "
    "any are as at be been but by call can did do does for from had has have he her him his i if in is it its me my "
    "named not of on one or our out she should sir so that the their them they this to was we were who will with "
    "you your recycle recycling rubbish trash garbage dust waste storage bread compost loony"
)
_GIVEN = word_set(
    "muhammad mohammad mohamad mohamed mohd muhamad md ahmad abdul abd abdullah aziz azman azlan azhar ali abu "
    "hassan hasan hussein ibrahim ismail iskandar yusof yusuf zulkifli khairul hafiz hafizi faizal farid fauzi "
    "kamal kamarul nizam rahman rahim razak rosli roslan ramli shahrul shamsul syafiq syed wan nik tengku megat "
    "raja che nur nurul nor noor norhayati siti sharifah aishah aisyah fatimah halimah khadijah maryam mariam "
    "zainab zaiton zainal rohani rosnah salmah suraya aminah azizah faridah haslina hidayah izzati amirah amir "
    "aiman adam danial haziq irfan luqman osman omar othman daud salleh saleh sulaiman tan lim lee wong ng ong chan "
    "cheong chong chow chua goh ho khoo koh kok lai lau leong liew loh low ooi pang phang quah sim soh soo tang tay "
    "teh teo tee toh wee yap yeoh yong chew chin chia foo gan heng hew raman rajan raju ravi kumar muthu murugan "
    "subramaniam suresh ramesh rajesh siva devi priya lakshmi letchumi kavitha selvam saravanan ganesan krishnan "
    "gopal anand prakash vijaya thanabalan kaur singh harjit balwinder"
)
_MOST_WORDS = 6
_MOST_BEFORE = 4  # words of a name in front of its join


def _person_names(text: str) -> list[Span]:
    """Return names by their form: joined (ali bin abu, devi a/p muthu) or titled (puan salwa)."""
    spans = [*_joined(text), *_titled(text)]
    taken: list[Span] = []
    for span in sorted(spans):
        if not taken or span[0] >= taken[-1][1]:
            taken.append(span)
    return taken


def _joined(text: str) -> Iterator[Span]:
    for match in _JOIN.finditer(text):
        before = _BEFORE.search(text, max(0, match.start() - 62), match.start())
        after = _AFTER.match(text, match.end())
        if before is None or after is None:
            continue
        first = _last_words(before[0])
        last = _first_words(after[0])
        if first and last:
            yield match.start() - first, match.end() + last


def _titled(text: str) -> Iterator[Span]:
    for match in _TITLED.finditer(text):
        length = _first_words(match["name"])
        if length > 1:
            yield match.start(), match.end() + length


def _last_words(words: str) -> int:
    """Return how many characters at the end are a name: at most four words, none an everyday one."""
    pieces = re.split(r"( +)", words)[::-1]  # "", " ", last word, " ", …
    length, kept = 0, 0
    for piece in pieces:
        if piece.strip():
            if piece in _NO_NAME or kept == _MOST_BEFORE:
                break
            kept += 1
        length += len(piece)
    return len(words[len(words) - length :].lstrip())


def _first_words(words: str) -> int:
    """Return how many characters at the beginning are a name."""
    length = 0
    for match in re.finditer(r"[^ ]+", words):
        bare = match[0].rstrip(".'`")
        if bare in _NO_NAME:
            break
        length = match.start() + len(bare)
        if match[0] != bare and len(bare) > 3:
            break  # the sentence ends
    return length


PERSON_NAME = Detector("person-name", rf"\b(?:{_JOINS}|{_TITLES})\.? ", _person_names)

# ---------------------------------------------------------------- lists

LEAST_ROWS = 3
_ROW_REACH = 150  # characters between two names of one list
_ENTRY = re.compile(r"[^\n,;|\t]{3,400}", re.ASCII)
_NUMBERED = re.compile(r"(?:\A|(?<=\s))\(?\d{1,3}[.)] ?(?=[a-z])", re.ASCII)
_LEAD = re.compile(r"[\s\d.)(*•>-]{0,12}", re.ASCII)
_HAS_JOIN = re.compile(rf"(?<![\w/])(?:{_JOINS})(?![\w/])", re.ASCII)
_NAME = re.compile(r"[a-z][a-z'`.]*(?:(?: ?@ ?| )[a-z][a-z'`.]*){0,7}", re.ASCII)
_CAPITALS = re.compile(
    r"^[ (]{0,3}\d{1,3}[.)]? ?(?P<name>[A-Z][A-Z'`@/.-]{1,20}(?: [A-Z'`@/.-]{1,20}){1,6}) ?(?:[\d(:–-][^\n]{0,60})?$",
    re.MULTILINE,
)
_NUMBERED_LINE = r"\n[ (]{0,3}\d{1,3}[.)]? ?[a-z]"


def _person_list(text: str) -> list[Span]:
    """Return the rows of lists of three and more persons: lines, numbered entries, or entries between commas."""
    return _runs([row for row in _entries(text) if _is_person(text[slice(*row)])])


def _person_list_shown(text: Text) -> list[Span]:
    """Return the rows of lists, numbered lines in capitals among them."""
    rows = [row for row in _entries(text.folded) if _is_person(text.folded[slice(*row)])]
    lines = [match.span() for match in _CAPITALS.finditer(text.exact)]
    return sorted({*_runs(rows), *_runs(lines)})


def _entries(text: str) -> Iterator[Span]:
    for match in _ENTRY.finditer(text):
        marks = [match.start() + mark.start() for mark in _NUMBERED.finditer(match[0])]
        cuts = [match.start(), *(mark for mark in marks if mark > match.start()), match.end()]
        for start, end in pairwise(cuts):
            row = text[start:end]
            yield start + len(row) - len(row.lstrip()), start + len(row.rstrip())


def _is_person(row: str) -> bool:
    lead = _LEAD.match(row)
    found = _NAME.match(row, lead.end() if lead else 0)
    if found is None:
        return False
    if _HAS_JOIN.search(row):
        return bool(_person_names(row))
    words = re.split(r"[ @]+", found[0])
    if not 2 <= len(words) <= _MOST_WORDS or any(word in _NO_NAME for word in words):
        return False
    return words[0] in _GIVEN and (len(row) - len(found[0])) <= 60


def _runs(rows: list[Span]) -> list[Span]:
    """Return the rows that stand in a run of enough of them."""
    kept: list[Span] = []
    run: list[Span] = []
    for row in [*rows, (1 << 60, 1 << 60)]:
        if run and row[0] - run[-1][1] > _ROW_REACH:
            kept += run if len(run) >= LEAST_ROWS else []
            run = []
        run.append(row)
    return kept


PERSON_LIST = Detector(
    "person-list",
    rf"\b(?:{_JOINS})\b|[\n,;|\t) ](?:{'|'.join(sorted(_GIVEN))}) [a-z]|{_NUMBERED_LINE}",
    _person_list,
    _person_list_shown,
)

# ---------------------------------------------------------------- e-mail

_FREE_MAIL = word_set(
    "gmail.com googlemail.com yahoo.com yahoo.com.my yahoo.co.uk ymail.com rocketmail.com hotmail.com hotmail.my "
    "outlook.com outlook.my live.com live.com.my msn.com icloud.com me.com mac.com aol.com proton.me protonmail.com "
    "gmx.com mail.com zoho.com tm.net.my streamyx.com"
)
_AT = r"(?:@| ?[\[(](?:at|@)[\])] ?)"
_MAIL = re.compile(
    rf"(?<![a-z0-9._%+-])(?P<who>[a-z0-9._%+-]{{1,64}}){_AT}"
    r"(?P<host>[a-z0-9-]{1,63}(?:(?:\.| ?[\[(](?:dot|\.)[\])] ?)[a-z0-9-]{2,63}){1,4})",
    re.ASCII,
)
_ROLES = word_set(
    "admin administrator aduan akaun akademik bahagian bantuan booking careers career contact ceo corporate crm "
    "customer daerah editor eaduan enquiry enquiries feedback finance hasil helpdesk hello hr hrd hrmis ict info "
    "inquiry jabatan jawatan kaunter kelab kewangan komunikasi korporat latihan mail marketing media meja mohon "
    "muzium news noreply no-reply office order pa pejabat pembangunan pendaftaran penerangan persatuan pertanyaan "
    "perpustakaan postmaster ppd press privacy pro program promosi pusat register sales sekolah sekretariat "
    "sekretariats security service services spm support surat sumber tabung tempahan tender ukk unit urusetia urus "
    "utc webadmin webmaster web wira help bomba pengarah pelancongan customercare care team kerjaya latihan"
)
_ROLES_AT_THE_FRONT = ("ppd", "jpn", "jkm", "pkd", "smk", *sorted(role for role in _ROLES if len(role) >= 5))
_PERSONAL = re.compile(r"[a-z]{2,20}(?:[._-][a-z]{2,20}){1,3}\d{0,4}", re.ASCII)


def _private_emails(text: str) -> list[Span]:
    """Return a person's addresses: at free mail whatever the name, elsewhere by a name of two words; roles are none."""
    return [match.span() for match in _MAIL.finditer(text) if _is_private(match["who"], match["host"])]


def _is_private(who: str, host: str) -> bool:
    parts = set(re.split(r"[._+-]|(?<=[a-z])(?=\d)", who)) | {who}
    if parts & _ROLES or who.startswith(_ROLES_AT_THE_FRONT):
        return False
    domain = re.sub(r" ?[\[(](?:dot|\.)[\])] ?", ".", host)
    return domain in _FREE_MAIL or _PERSONAL.fullmatch(who) is not None


PRIVATE_EMAIL = Detector("private-email", r"[a-z0-9_.%+-]@[a-z0-9]|[\[(](?:at|@)[\])]", _private_emails)
