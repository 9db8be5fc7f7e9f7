"""The words of mails in Malay and English: severities, causes, clauses, places and times. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from monitor.budget import CREDENTIAL, Forecast
from monitor.disclosure import one_line
from monitor.escalation import Role
from monitor.model import MALAYSIA, AlertKind, AlertState, Cause, Language, Severity, Verdict
from monitor.reports import CANARY_NO_CONTACT, CANARY_NOT_ACCEPTED, CANARY_NOT_FOUND, CANARY_WAITS

MS, EN = Language.MS, Language.EN

SEVERITIES: Mapping[Language, Mapping[Severity, str]] = {
    MS: {
        Severity.LOW: "Rendah",
        Severity.MEDIUM: "Sederhana",
        Severity.HIGH: "Tinggi",
        Severity.CRITICAL: "Kritikal",
    },
    EN: {Severity.LOW: "Low", Severity.MEDIUM: "Medium", Severity.HIGH: "High", Severity.CRITICAL: "Critical"},
}
VERDICTS: Mapping[Language, Mapping[Verdict, str]] = {
    MS: {
        Verdict.FULL: "dipantau sepenuhnya",
        Verdict.GAPS: "dipantau sebahagian masa",
        Verdict.BLIND: "tidak dapat dipantau",
    },
    EN: {Verdict.FULL: "fully monitored", Verdict.GAPS: "monitored with gaps", Verdict.BLIND: "blind"},
}
KINDS: Mapping[Language, Mapping[AlertKind, str]] = {
    MS: {
        AlertKind.POST: "hantaran disyaki",
        AlertKind.BACKLOG: "hantaran lama untuk disemak",
        AlertKind.BLIND: "akaun tidak dapat dibaca",
        AlertKind.CREDENTIAL: "platform tidak menerima akses Pantau",
        AlertKind.FORECAST: "had atau akses platform yang tidak mencukupi",
        AlertKind.DEAD_LETTER: "e-mel ditolak",
        AlertKind.EVALUATION: "hantaran tidak dapat diperiksa",
        AlertKind.CANARY_MISSING: "ujian harian Pantau tidak sampai",
        AlertKind.PROFILE: "perubahan profil akaun",
        AlertKind.CANARY: "ujian harian Pantau",
    },
    EN: {
        AlertKind.POST: "suspected post",
        AlertKind.BACKLOG: "older posts to review",
        AlertKind.BLIND: "account cannot be read",
        AlertKind.CREDENTIAL: "no access to the platform",
        AlertKind.FORECAST: "a budget or credential that will not last",
        AlertKind.DEAD_LETTER: "mail refused",
        AlertKind.EVALUATION: "post could not be checked",
        AlertKind.CANARY_MISSING: "Pantau's daily proof did not arrive",
        AlertKind.PROFILE: "changed profile of an account",
        AlertKind.CANARY: "daily test of Pantau",
    },
}
STATES: Mapping[Language, Mapping[AlertState, str]] = {
    MS: {
        AlertState.OPEN: "belum dijawab",
        AlertState.ACKNOWLEDGED: "telah diakui terima",
        AlertState.RESOLVED: "selesai",
        AlertState.SUPPRESSED: "diketepikan",
    },
    EN: {
        AlertState.OPEN: "not yet answered",
        AlertState.ACKNOWLEDGED: "acknowledged",
        AlertState.RESOLVED: "resolved",
        AlertState.SUPPRESSED: "set aside",
    },
}
# Why an account was not read, as a person says it, and what helps.
CAUSES: Mapping[Language, Mapping[Cause, tuple[str, str]]] = {
    MS: {
        Cause.NOT_YET_READ: (
            "akaun ini belum pernah dapat dibaca",
            "Semak nama akaun dan alamatnya dalam daftar Pantau.",
        ),
        Cause.CREDENTIAL: (
            "platform menolak token akses Pantau",
            "Pentadbir Pantau perlu memperbaharui token akses platform ini.",
        ),
        Cause.PERMISSION: (
            "Pantau tidak mempunyai kebenaran untuk membaca akaun ini",
            "Pentadbir halaman perlu memberikan kebenaran membaca kepada Pantau.",
        ),
        Cause.RATE_LIMIT: (
            "had bacaan yang ditetapkan oleh platform telah dicapai",
            "Bacaan akan disambung dengan sendirinya; jika berulang, pentadbir Pantau perlu menyemak had platform.",
        ),
        Cause.NOT_FOUND: (
            "akaun tidak ditemui: mungkin ditukar nama, digantung, dipadam atau dirampas",
            (
                "Semak akaun itu sekarang. Jika namanya ditukar dengan sengaja, betulkan daftar; jika tidak, anggap "
                "akaun itu mungkin telah dirampas."
            ),
        ),
        Cause.SCHEMA_DRIFT: (
            "halaman platform telah berubah dan tidak lagi dikenali oleh Pantau",
            "Pentadbir Pantau perlu menyemak penyambung bagi platform ini.",
        ),
        Cause.UNAVAILABLE: (
            "platform tidak memberi jawapan",
            "Pantau terus mencuba dengan sendirinya.",
        ),
        Cause.CONFIGURATION: (
            "tetapan Pantau bagi platform ini tidak lengkap",
            "Pentadbir Pantau perlu menjalankan `pantau check` dan membetulkan apa yang dilaporkan.",
        ),
        Cause.ADDRESS_REFUSED: (
            "alamat akaun menghala ke rangkaian yang tidak dibenarkan",
            "Semak alamat akaun dalam daftar Pantau.",
        ),
        Cause.BURST: (
            "bilangan hantaran melebihi yang disediakan semula oleh platform",
            "Semak sendiri hantaran dalam tempoh itu pada akaun berkenaan.",
        ),
        Cause.STOPPED: (
            "Pantau tidak berjalan",
            "Pentadbir Pantau perlu memastikan perkhidmatan ini sentiasa berjalan.",
        ),
        Cause.INTERNAL: (
            "ralat dalaman Pantau",
            "Pentadbir Pantau perlu menyemak log.",
        ),
    },
    EN: {
        Cause.NOT_YET_READ: (
            "this account could never be read so far",
            "Check the account's name and address in Pantau's register.",
        ),
        Cause.CREDENTIAL: (
            "the platform refuses Pantau's credential (token)",
            "Pantau's operators need to renew the token of this platform.",
        ),
        Cause.PERMISSION: (
            "Pantau has no permission to read this account",
            "The page's administrator needs to give Pantau permission to read.",
        ),
        Cause.RATE_LIMIT: (
            "the platform's limit of reads is used up",
            "Reading resumes by itself; if this repeats, Pantau's operators need to look at the platform's limit.",
        ),
        Cause.NOT_FOUND: (
            "the account was not found: possibly renamed, suspended, deleted or taken over",
            (
                "Look at the account now. If it was renamed on purpose, correct the register; if not, treat it as "
                "possibly taken over."
            ),
        ),
        Cause.SCHEMA_DRIFT: (
            "Pantau no longer recognises the platform's page",
            "Pantau's operators need to look at the connector of this platform.",
        ),
        Cause.UNAVAILABLE: (
            "the platform does not answer",
            "Pantau keeps trying by itself.",
        ),
        Cause.CONFIGURATION: (
            "Pantau's settings for this platform are incomplete",
            "Pantau's operators need to run `pantau check` and correct what it reports.",
        ),
        Cause.ADDRESS_REFUSED: (
            "the account's address leads to a network that is not allowed",
            "Check the account's address in Pantau's register.",
        ),
        Cause.BURST: (
            "more posts than the platform gives back",
            "Look through the posts of that time yourself.",
        ),
        Cause.STOPPED: (
            "Pantau was not running",
            "Pantau's operators need to keep the service running.",
        ),
        Cause.INTERNAL: (
            "an internal error of Pantau",
            "Pantau's operators need to look at the log.",
        ),
    },
}
UNKNOWN_CAUSE = {MS: ("sebab belum diketahui", ""), EN: ("the cause is not known yet", "")}
PLATFORMS = {
    "x": "X (Twitter)",
    "facebook": "Facebook",
    "instagram": "Instagram",
    "threads": "Threads",
    "tiktok": "TikTok",
    "linkedin": "LinkedIn",
    "youtube": "YouTube",
    "telegram": "Telegram",
    "bluesky": "Bluesky",
    "mastodon": "Mastodon",
    "myspace": "MySpace",
}
SITES: Mapping[Language, Mapping[str, str]] = {  # no platform of anybody's: named in the reader's language
    MS: {"rss": "laman web (RSS)", "web": "laman web"},
    EN: {"rss": "website (RSS)", "web": "website"},
}
INSTRUMENTS: Mapping[Language, Mapping[str, str]] = {
    MS: {
        "mampu-2009": "surat Ketua Pengarah MAMPU bertarikh 19 November 2009, "
        "“Penggunaan Media Jaringan Sosial di Sektor Awam”",
    },
    EN: {
        "mampu-2009": "the letter of the Director General of MAMPU of 19 November 2009, "
        "“Penggunaan Media Jaringan Sosial di Sektor Awam”",
    },
}
CLAUSE_5 = (
    "Semua Ketua Jabatan hendaklah mengambil tindakan sewajarnya agar peraturan ini dipatuhi dan dipantau sepenuhnya "
    "dengan berkesan."
)
MONTHS: Mapping[Language, str] = {
    MS: "Januari Februari Mac April Mei Jun Julai Ogos September Oktober November Disember",
    EN: "January February March April May June July August September October November December",
}
DAYS: Mapping[Language, str] = {
    MS: "Isnin Selasa Rabu Khamis Jumaat Sabtu Ahad",
    EN: "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
}
LOCAL_TIME = {MS: "waktu Malaysia", EN: "Malaysian time"}
AND = {MS: "dan", EN: "and"}
PLACES: Mapping[Language, Mapping[str, str]] = {
    MS: {"text": "dalam teks", "picture": "dalam gambar", "document": "dalam dokumen", "video": "dalam video"},
    EN: {"text": "in the text", "picture": "in picture", "document": "in document", "video": "in video"},
}
# Why a case is open again: what the service itself noticed, by the reason that the store writes down.
REOPENED: Mapping[Language, Mapping[str, str]] = {
    MS: {
        "the post is still there": "hantaran yang dilaporkan telah dipadam masih boleh dilihat",
        "the post is back": "hantaran yang telah dipadam kini muncul semula",
        "the same text was published again": "hantaran yang sama telah dibuat semula",
        "the acknowledgement ran out": "tempoh yang dinyatakan semasa akui terima telah tamat tanpa penyelesaian",
    },
    EN: {
        "the post is still there": "the post that was reported as removed can still be seen",
        "the post is back": "the post that had been removed can be seen again",
        "the same text was published again": "the same post was published again",
        "the acknowledgement ran out": "the time named when it was acknowledged has passed, and it is not resolved",
    },
}
REOPENED_BY_A_PERSON = {MS: "seorang pegawai meminta supaya kes ini disemak semula", EN: "an officer asked for it"}

# What an alert is about, as a subject names it. A post's own adds the paragraphs.
MATTERS: Mapping[Language, Mapping[AlertKind, str]] = {
    MS: {
        AlertKind.POST: "HANTARAN MEDIA SOSIAL YANG MUNGKIN MELANGGAR",
        AlertKind.BACKLOG: "HANTARAN LAMA YANG MUNGKIN MELANGGAR PEKELILING",
        AlertKind.BLIND: "AKAUN MEDIA SOSIAL YANG TIDAK DAPAT DIPANTAU",
        AlertKind.CREDENTIAL: "PLATFORM YANG MENOLAK AKSES PANTAU",
        AlertKind.FORECAST: "HAD ATAU AKSES PLATFORM YANG TIDAK MENCUKUPI",
        AlertKind.DEAD_LETTER: "E-MEL PANTAU YANG DITOLAK",
        AlertKind.EVALUATION: "HANTARAN YANG TIDAK DAPAT DIPERIKSA",
        AlertKind.PROFILE: "PERUBAHAN PROFIL AKAUN MEDIA SOSIAL YANG MUNGKIN TELAH DIRAMPAS",
        AlertKind.CANARY: "UJIAN HARIAN PANTAU",
        AlertKind.CANARY_MISSING: "UJIAN HARIAN PANTAU YANG TIDAK SAMPAI",
    },
    EN: {
        AlertKind.POST: "A SOCIAL MEDIA POST THAT MAY CONTRAVENE",
        AlertKind.BACKLOG: "OLDER POSTS THAT MAY CONTRAVENE THE CIRCULAR",
        AlertKind.BLIND: "A SOCIAL MEDIA ACCOUNT THAT CANNOT BE MONITORED",
        AlertKind.CREDENTIAL: "A PLATFORM THAT REFUSES PANTAU ACCESS",
        AlertKind.FORECAST: "A BUDGET OR CREDENTIAL THAT WILL NOT LAST",
        AlertKind.DEAD_LETTER: "A REFUSED MAIL OF PANTAU",
        AlertKind.EVALUATION: "A POST THAT COULD NOT BE CHECKED",
        AlertKind.PROFILE: "A CHANGED PROFILE OF AN ACCOUNT THAT MAY HAVE BEEN TAKEN OVER",
        AlertKind.CANARY: "PANTAU'S DAILY TEST",
        AlertKind.CANARY_MISSING: "PANTAU'S DAILY TEST, WHICH DID NOT ARRIVE",
    },
}
PROFILE_PARTS: Mapping[Language, Mapping[str, str]] = {
    MS: {"name": "Nama", "handle": "Nama pengguna", "picture": "Gambar", "bio": "Keterangan"},
    EN: {"name": "Name", "handle": "Handle", "picture": "Picture", "bio": "Description"},
}
ROLES: Mapping[Language, Mapping[Role, str]] = {
    MS: {
        Role.HEAD: "Ketua Jabatan",
        Role.DEPUTY: "Timbalan Ketua Jabatan",
        Role.ICTSO: "Pegawai Keselamatan ICT (ICTSO)",
        Role.COMMS: "Ketua Komunikasi Korporat",
        Role.SECURITY_TEAM: "pasukan keselamatan",
        Role.OPERATORS: "pentadbir Pantau",
    },
    EN: {
        Role.HEAD: "the head of department",
        Role.DEPUTY: "the deputy head of department",
        Role.ICTSO: "the ICT security officer (ICTSO)",
        Role.COMMS: "the head of corporate communication",
        Role.SECURITY_TEAM: "the security team",
        Role.OPERATORS: "Pantau's operators",
    },
}


def date(moment: datetime, language: Language) -> str:
    """Return "24 November 2026" by the Malaysian calendar day of the moment."""
    local = moment.astimezone(MALAYSIA)
    return f"{local.day} {MONTHS[language].split()[local.month - 1]} {local.year}"


def moment(at: datetime, language: Language) -> str:
    """Return "Selasa, 24 November 2026, 22:51 (waktu Malaysia)"."""
    local = at.astimezone(MALAYSIA)
    day = DAYS[language].split()[local.weekday()]
    return f"{day}, {date(at, language)}, {local:%H:%M} ({LOCAL_TIME[language]})"


def short(at: datetime) -> str:
    """Return "24/11 22:51", Malaysian time, for tables that name the year elsewhere."""
    return f"{at.astimezone(MALAYSIA):%d/%m %H:%M}"


def span(length: timedelta, language: Language) -> str:
    """Return a length of time in its two largest units, such as "2 hari 3 jam"."""
    days_, hours_, minutes_ = ("hari", "jam", "minit") if language is MS else ("d", "h", "min")
    minutes = max(0, round(length.total_seconds() / 60))
    parts = [(minutes // 1440, days_), (minutes % 1440 // 60, hours_), (minutes % 60, minutes_)]
    named = [f"{number} {unit}" for number, unit in parts if number][:2]
    return " ".join(named) or (f"< 1 {minutes_}")


def seconds(length: float, language: Language) -> str:
    """Return a short time to the second, such as "4 s"; a longer one as `span` does."""
    if length < 120:
        return f"{length:.0f} {'saat' if language is MS else 's'}"
    return span(timedelta(seconds=length), language)


def listed(parts: Sequence[str], language: Language) -> str:
    """Return "a, b dan c"."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {AND[language]} {parts[-1]}"


def clause_name(ref: str) -> str:
    """Return "3(c)" for the clause id "3c", as the circular itself writes it."""
    match = re.fullmatch(r"(\d+)([a-z]{1,3})", ref)
    return f"{match[1]}({match[2]})" if match else one_line(ref, limit=20)


def clause_names(refs: Iterable[str], language: Language) -> str:
    return listed([clause_name(ref) for ref in sorted(set(refs))], language)


def paragraphs(refs: Iterable[str], language: Language) -> str:
    """Return "paragraphs 3(b) and 4"; "" without any."""
    found = set(refs)
    return f"{_paragraph_word(len(found), language)} {clause_names(found, language)}" if found else ""


def _paragraph_word(count: int, language: Language) -> str:
    return "perenggan" if language is MS else "paragraphs" if count > 1 else "paragraph"


def cause(why: Cause | None, language: Language) -> tuple[str, str]:
    """Return the cause in plain words, and what to do about it."""
    return UNKNOWN_CAUSE[language] if why is None else CAUSES[language][why]


def platform(name: str, language: Language) -> str:
    return SITES[language].get(name) or PLATFORMS.get(name, name)


def instrument(name: str, language: Language) -> str:
    return INSTRUMENTS[language].get(name, name)


def roles(of: Iterable[Role], language: Language) -> str:
    """Return "Timbalan Ketua Jabatan dan Pegawai Keselamatan ICT (ICTSO)"."""
    return listed([ROLES[language][role] for role in dict.fromkeys(of)], language)


BUDGETS: Mapping[Language, Mapping[str, str]] = {
    MS: {
        "calls": "panggilan",
        "units a day": "unit",  # told by the hour
        "posts": "hantaran",
        "dollars": "dolar AS",
    },
    EN: {"units a day": "units", "dollars": "US dollars"},
}


def forecast(what: Forecast, language: Language) -> str:
    """Return how a budget or credential will last, as a sentence without the platform."""
    name = BUDGETS[language].get(what.name, one_line(what.name, limit=40))
    if what.name == CREDENTIAL:
        end = date(what.ends_at, language) if what.ends_at else "–"
        return f"akses (token) ini tamat pada {end}" if language is MS else f"the credential ends on {end}"
    needed, limit, spent = (f"{number:,.0f}" for number in (what.needed, what.limit, what.spent))
    if what.resets_at is None and language is MS:
        accounts = f"{what.accounts:,} akaun dibaca mengikut tempoh yang dijanjikan"
        return f"{name}: {needed} sejam diperlukan supaya {accounts}; had platform ialah {limit} sejam"
    if what.resets_at is None:
        accounts = f"{what.accounts:,} account{'' if what.accounts == 1 else 's'} to be read as often as promised"
        return f"{name}: {needed} an hour are needed for {accounts}; the platform allows {limit} an hour"
    if language is MS:
        end = (
            f"pada kadar ini had itu habis pada {date(what.ends_at, MS)}"
            if what.ends_at
            else "pada kadar ini mencukupi"
        )
        return f"{name}: {spent} daripada {limit} bagi bulan ini telah digunakan; {end}"
    end = f"at this rate it ends on {date(what.ends_at, EN)}" if what.ends_at else "at this rate it suffices"
    return f"{name}: {spent} of {limit} for this month are spent; {end}"


CANARY_FAILURES: Mapping[str, str] = {  # for those who read Malay
    CANARY_NOT_FOUND: "peraturan yang berkuat kuasa tidak menemui teks ujian",
    CANARY_NOT_ACCEPTED: "pelayan mel tidak menerimanya dalam masa sejam",
    CANARY_WAITS: "e-melnya menunggu pelayan mel",
    CANARY_NO_CONTACT: "tiada penerima: tetapkan canary.recipient",
}


def matter(kind: AlertKind, clause_refs: Iterable[str], language: Language) -> str:
    """Return what a subject says an alert is about, in capitals but for the letters of a paragraph."""
    words = MATTERS[language][kind]
    if kind is not AlertKind.POST:
        return words
    refs = set(clause_refs)
    if not refs:
        return f"{words} {'PEKELILING' if language is MS else 'THE CIRCULAR'}"
    names = clause_names(refs, language).replace(f" {AND[language]} ", f" {AND[language].upper()} ")
    return f"{words} {_paragraph_word(len(refs), language).upper()} {names}"


def canary_failure(why: str, language: Language) -> str:
    """Return why the daily proof failed; what a rule or an exception adds stands as it is."""
    for english, malay in CANARY_FAILURES.items() if language is MS else ():
        why = why.replace(english, malay)
    return why


def reopened(reason: str, language: Language) -> str:
    """Return why a case is open again; a person's own words are not repeated: they may quote the post."""
    known = (words for begin, words in REOPENED[language].items() if reason.startswith(begin))
    return next(known, REOPENED_BY_A_PERSON[language])
