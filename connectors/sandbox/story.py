"""The demo: five agencies that do not exist, their ordinary posts, and what goes wrong while one watches.

Every name, number and address is invented; mail goes to example.my, which nobody can own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.sandbox.world import World
from monitor.model import Account, Agency, AgencyKind, Contacts, Language, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Something that happens `after` the scene before it; `caption` is for those who watch."""

    after: timedelta
    caption: str
    act: Callable[[World, datetime], None]


def _contacts(code: str, *, salutation: str, name: str, title: str) -> Contacts:
    domain = f"{code.lower()}.example.my"
    return Contacts(
        head_salutation=salutation,
        head_name=name,
        head_title=title,
        head_email=f"ketua@{domain}",
        deputy_email=f"timbalan@{domain}",
        ictso_email=f"ictso@{domain}",
        comms_email=f"komunikasi@{domain}",
    )


AGENCIES: tuple[Agency, ...] = (
    Agency(
        code="JPD",
        name="Jabatan Perkhidmatan Demo",
        kind=AgencyKind.DEPARTMENT,
        state=State.PJY,
        language=Language.MS,
        contacts=_contacts("JPD", salutation="Y.Bhg. Datuk", name="Rekaan binti Contoh", title="Ketua Pengarah"),
    ),
    Agency(
        code="KCM",
        name="Kementerian Contoh Malaysia",
        kind=AgencyKind.MINISTRY,
        state=State.PJY,
        language=Language.MS,
        contacts=_contacts("KCM", salutation="Y.Bhg. Dato'", name="Contoh bin Rekaan", title="Ketua Setiausaha"),
    ),
    Agency(
        code="LPD",
        name="Lembaga Pelancongan Demo",
        kind=AgencyKind.STATUTORY,
        state=State.KUL,
        language=Language.EN,
        contacts=_contacts("LPD", salutation="Ms", name="Sample Fiction", title="Director General"),
    ),
    Agency(
        code="MPS",
        name="Majlis Perbandaran Sampel",
        kind=AgencyKind.LOCAL,
        state=State.KDH,
        language=Language.MS,
        contacts=_contacts("MPS", salutation="Tuan", name="Sampel bin Demo", title="Yang Dipertua"),
    ),
    Agency(
        code="SUD",
        name="Pejabat Setiausaha Kerajaan Negeri Demo",
        kind=AgencyKind.STATE,
        state=State.SGR,
        language=Language.MS,
        contacts=_contacts("SUD", salutation="Y.B. Dato'", name="Demo bin Sampel", title="Setiausaha Kerajaan Negeri"),
    ),
)

DEAD = "mpsampel-lama"
ACCOUNTS: tuple[Account, ...] = (
    Account(agency="JPD", platform="x", handle="jpdemo"),
    Account(agency="JPD", platform="facebook", handle="jabatanperkhidmatandemo"),
    Account(agency="JPD", platform="rss", handle="jpd-berita", note="laman web rasmi"),
    Account(agency="JPD", platform="youtube", handle="jpdemo"),
    Account(agency="SUD", platform="telegram", handle="sukdemo"),
    Account(agency="KCM", platform="x", handle="kcontoh"),
    Account(agency="KCM", platform="facebook", handle="kementeriancontoh"),
    Account(agency="LPD", platform="x", handle="visitdemo"),
    Account(agency="LPD", platform="facebook", handle="visitdemo"),
    Account(agency="LPD", platform="bluesky", handle="visitdemo.example.my"),
    Account(agency="LPD", platform="mastodon", handle="visitdemo@sosial.example.my"),
    Account(agency="MPS", platform="facebook", handle="mpsampel"),
    Account(agency="MPS", platform="web", handle="mpsampel-berita"),
    Account(agency="MPS", platform="myspace", handle=DEAD, note="tidak dikemas kini sejak 2011"),
    Account(agency="SUD", platform="rss", handle="sud-hebahan", note="laman web rasmi"),
    Account(agency="SUD", platform="myspace", handle="sukdemo"),
    Account(agency="KCM", platform="instagram", handle="kementeriancontoh"),
    Account(agency="LPD", platform="threads", handle="visitdemo"),
    Account(agency="MPS", platform="tiktok", handle="mpsampel"),
    Account(agency="JPD", platform="linkedin", handle="jabatan-perkhidmatan-demo"),
)

ORDINARY: Mapping[str, tuple[str, ...]] = {
    "ms": (
        "Kaunter perkhidmatan dibuka seperti biasa, 8.00 pagi hingga 5.00 petang.",
        "Taklimat percuma untuk usahawan kecil. Tempat terhad kepada 50 orang, daftar segera!",
        "Tahniah kepada semua penerima Anugerah Perkhidmatan Cemerlang tahun ini.",
        "Aduan anda akan dikendalikan secara sulit dan profesional. Hubungi talian hotline 15999.",
        "Semakan status permohonan kini boleh dibuat dalam talian, 24 jam sehari.",
        "Rahsia kejayaan beliau: disiplin, doa dan kerja berpasukan. Tonton wawancara penuh di saluran kami.",
        "Gotong-royong perdana bersama penduduk setempat berjalan lancar pagi tadi. Terima kasih semua!",
        "Ramalan hujan lebat petang ini. Pandu dengan cermat dan patuhi arahan pihak berkuasa.",
        "Program derma darah di lobi utama, 9.00 pagi hingga 2.00 petang. Setitik darah, seribu harapan.",
        "Edisi terhad buku sejarah jabatan sudah boleh didapati di perpustakaan awam.",
    ),
    "en": (
        "Night market at the riverfront this weekend. Bring the family!",
        "Our visitor centre now opens at 9 am, seven days a week.",
        "Limited seats for Saturday's heritage walk. Register at the counter.",
        "Ten photographs of the highlands that make you want to pack a bag.",
        "Thank you to the 400 volunteers who cleaned the beach this morning.",
    ),
}
LEAK = (
    "SULIT\n\nMinit Mesyuarat Jawatankuasa Pemandu Bil. 3/2026\nRuj. Kami: JPD.S.600-2/1/4 Jld.3 (17)\n"
    "Keputusan mesyuarat mengenai penyusunan semula bahagian dilampirkan untuk tindakan."
)
HIJACK = (
    "THIS IS A HACKED ACCOUNT! INTRODUCING $DEMOCOIN ON SOLANA. Airdrop for the first 1,000 wallets, "
    "send 1 SOL and get 2 SOL back! https://demo-airdrop.example"
)
PERSONAL = (
    "Senarai penerima bantuan yang diluluskan:\n"
    "1. Fulanah binti Fulan, No. KP 250731-14-0002\n"
    "2. Polan bin Polan, No. KP 250115-10-0005\n"
    "3. Fulan bin Fulan, No. KP 250909-02-0007\n"
    "Sila hadir ke dewan pada hari Isnin."
)
PASSWORD = "Wi-Fi dewan mesyuarat untuk peserta bengkel: SSID JPD-STAF, kata laluan: Kolam#2026!"  # noqa: S105 (a demo)
INTERNAL = (
    "PERINGKAT KESELAMATAN: TERHAD\nMemo dalaman: untuk kegunaan dalaman sahaja. "
    "Jadual tugas pengawal bangunan minggu hadapan seperti di lampiran."
)
BREACHES = ((LEAK, "JPD"), (PERSONAL, "MPS"), (PASSWORD, "JPD"), (INTERNAL, "SUD"), (HIJACK, "LPD"))


def begin(world: World, now: datetime) -> None:
    """Open the accounts and publish what the last weeks brought: ordinary posts, some of them of today."""
    for account in ACCOUNTS:
        agency = _agency(account)
        world.add_account(
            account.platform,
            account.handle,
            name=agency.name,
            bio=f"Akaun rasmi {agency.name}",
            picture_url=f"https://{agency.code.lower()}.example.my/logo.png",
        )
    for place, account in enumerate(ACCOUNTS):
        texts = itertools.islice(itertools.cycle(_ordinary(account)), place, place + 8)
        for age, text in enumerate(texts):
            _say(world, account, text, now - timedelta(days=3 * age, hours=2 + place, minutes=7 * place))
    world.abandon("myspace", DEAD)


def scenes() -> Iterator[Scene]:
    """Yield what happens, forever: the planned breaches first, then ordinary life with one now and then."""
    done: dict[str, tuple[str, str]] = {}  # what a later scene comes back to: name → (platform, native id)
    yield _post(3, "JPD, X: an ordinary post", "JPD", "x", _ordinary(ACCOUNTS[0])[4])
    yield _post(
        2, "MPS, Facebook: an ordinary post", "MPS", "facebook", _ordinary(ACCOUNTS[0])[6], keep=("plain", done)
    )
    yield _post(3, "JPD, X: minutes of a meeting, marked SULIT", "JPD", "x", LEAK, keep=("leak", done))
    yield _post(6, "LPD, Facebook: an ordinary post", "LPD", "facebook", ORDINARY["en"][3])
    yield _post(6, "LPD, X: the account is hijacked", "LPD", "x", HIJACK, keep=("hijack", done))
    yield _post(2, "KCM, X: the same text, minutes later", "KCM", "x", HIJACK)
    yield Scene(after=timedelta(seconds=4), caption="LPD, X: the account is renamed", act=_rename)
    yield _post(8, "SUD, RSS: an ordinary post", "SUD", "rss", _ordinary(ACCOUNTS[0])[8])
    yield _post(8, "MPS, Facebook: a list of identity card numbers", "MPS", "facebook", PERSONAL)
    yield Scene(
        after=timedelta(seconds=12),
        caption="MPS, Facebook: the ordinary post is edited into an internal memo",
        act=lambda world, now: world.edit(*done["plain"], INTERNAL, at=now),
    )
    yield Scene(
        after=timedelta(seconds=12),
        caption="LPD, X: the hijacker's post is deleted; the evidence stays",
        act=lambda world, _: world.delete(*done["hijack"]),
    )
    yield _post(10, "JPD, RSS: a Wi-Fi password", "JPD", "rss", PASSWORD)
    yield from _ever_after()


def _ever_after() -> Iterator[Scene]:
    living = [account for account in ACCOUNTS if account.handle != DEAD]
    for number in itertools.count(1):
        account = living[number * 3 % len(living)]
        if number % 8 == 0:
            text, code = BREACHES[number // 8 % len(BREACHES)]
            account = next(one for one in living if one.agency == code)
            yield _scene(30, f"{account.label}: another breach", account, f"{text}\n(Bil. {number})")
        else:
            texts = _ordinary(account)
            text = f"{texts[number % len(texts)]} #{number}"
            yield _scene(30, f"{account.label}: an ordinary post", account, text)


def _post(
    seconds: int,
    caption: str,
    agency: str,
    platform: str,
    text: str,
    *,
    keep: tuple[str, dict[str, tuple[str, str]]] | None = None,
) -> Scene:
    account = next(one for one in ACCOUNTS if (one.agency, one.platform) == (agency, platform))
    return _scene(seconds, caption, account, text, keep=keep)


def _scene(
    seconds: int,
    caption: str,
    account: Account,
    text: str,
    *,
    keep: tuple[str, dict[str, tuple[str, str]]] | None = None,
) -> Scene:
    def act(world: World, now: datetime) -> None:
        native_id = _say(world, account, text, now)
        if keep is not None:
            name, done = keep
            done[name] = (account.platform, native_id)

    return Scene(after=timedelta(seconds=seconds), caption=caption, act=act)


def _rename(world: World, _: datetime) -> None:
    world.rename("x", "visitdemo", name="Solana Airdrop", picture_url="https://demo-airdrop.example/coin.png")


def _say(world: World, account: Account, text: str, at: datetime) -> str:
    links = [word for word in text.split() if word.startswith("https://")]
    language = _agency(account).language.value
    return world.publish(account.platform, account.handle, text, at=at, links=links, language=language)


def _ordinary(account: Account) -> tuple[str, ...]:
    return ORDINARY[_agency(account).language.value]


def _agency(account: Account) -> Agency:
    return next(agency for agency in AGENCIES if agency.code == account.agency)
