"""A real post office on loopback: Postfix and Dovecot of the system's packages, with a configuration of our own.

Everything lies in one folder and on free high ports; nothing of the system's own mail service is touched. Postfix wants
to be started by root.
"""

from __future__ import annotations

import grp
import imaplib
import os
import pwd
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from mail_servers import Certificates, make_certificates

from monitor.settings import Mail, Mailbox, Secret

POSTFIX = Path("/usr/lib/postfix/sbin/master")
DOVECOT = Path("/usr/sbin/dovecot")
DOMAIN = "pantau.example.my"
SENDER, JOURNAL = f"pantau@{DOMAIN}", f"jurnal@{DOMAIN}"
PASSWORD = "k4ta-laluan"
PATIENCE_SECONDS = 15.0
QUEUES = (
    "active bounce corrupt defer deferred flush hold incoming maildrop pid private public saved trace".split()  # noqa: SIM905 (reads better)
)


def missing() -> str:
    """Return which package is missing for a post office; empty when none is."""
    for program, package in ((POSTFIX, "postfix"), (DOVECOT, "dovecot-imapd")):
        if not program.exists():
            return f"{program.name} of Debian's package {package} is not installed"
    return ""


def needs_root() -> str:
    """Return why there can be no post office for this user; empty when there can."""
    return "" if os.geteuid() == 0 else "Postfix can only be started by root"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, kw_only=True)
class PostOffice:
    """`smtp_port` asks for STARTTLS and a sign-in; `plain_port` takes everything in clear."""

    folder: Path
    certificates: Certificates
    smtp_port: int
    plain_port: int
    imap_port: int
    imaps_port: int

    def mail(self, **changes: object) -> Mail:
        facts = {
            "transport": "smtp",
            "host": "localhost",
            "port": self.smtp_port,
            "security": "starttls",
            "username": SENDER,
            "password": Secret(PASSWORD),
            "sender": f"Pantau <{SENDER}>",
            "ca_file": self.certificates.ca_file,
            "timeout": timedelta(seconds=10),
        }
        return Mail(**{**facts, **changes})  # type: ignore[arg-type]

    def mailbox(self, user: str = SENDER, **changes: object) -> Mailbox:
        facts = {
            "host": "localhost",
            "port": self.imaps_port,
            "username": user,
            "password": Secret(PASSWORD),
            "ca_file": self.certificates.ca_file,
            "timeout": timedelta(seconds=10),
        }
        return Mailbox(**{**facts, **changes})  # type: ignore[arg-type]

    def make_maildir(self, user: str) -> Path:
        """Make a user's mailbox before its first mail, for somebody else to put mails into."""
        place = self.maildir(user)
        for folder in (place.parent, place, *(place / name for name in ("tmp", "new", "cur"))):
            folder.mkdir(exist_ok=True)
            shutil.chown(folder, *_owner())
        return place

    def maildir(self, user: str) -> Path:
        return self.folder / "mail" / user / "Maildir"

    def mails(self, user: str) -> list[bytes]:
        """Return what lies in a user's mailbox, read from the disk."""
        places = [self.maildir(user) / part for part in ("new", "cur")]
        return [path.read_bytes() for place in places if place.exists() for path in sorted(place.iterdir())]

    def wait_for_mails(self, user: str, count: int = 1) -> list[bytes]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(found := self.mails(user)) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} of {count} mails came to {user}\n{self.log()}")
            time.sleep(0.02)
        return found

    def log(self) -> str:
        return "".join(path.read_text(errors="replace") for path in sorted((self.folder / "log").iterdir()))


def open_folder() -> Path:
    """Make a folder that Postfix's and Dovecot's own users can enter, with a path short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="pantau-post-"))
    folder.chmod(0o755)
    return folder


@contextmanager
def post_office(users: Sequence[str], *, transport: str = "virtual", imap: bool = True) -> Iterator[PostOffice]:
    """Run Postfix (and Dovecot) for these users, the sender and the journal, which gets a copy of every mail.

    A mail to anyone else in the users' domains is taken, and returned by Postfix itself. `transport` "discard" throws
    every mail away after it was taken.
    """
    everybody = [*users, SENDER, JOURNAL]
    with _prepared() as office, ExitStack() as stack:
        if imap:
            stack.enter_context(_dovecot(office, everybody))
        stack.enter_context(_postfix(office, everybody, transport))
        yield office


@contextmanager
def mailboxes(users: Sequence[str]) -> Iterator[PostOffice]:
    """Run Dovecot alone; it may be read in clear too."""
    with _prepared() as office, _dovecot(office, users):
        yield office


@contextmanager
def _prepared() -> Iterator[PostOffice]:
    with ExitStack() as stack:
        folder = open_folder()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        office = PostOffice(
            folder=folder,
            certificates=make_certificates(folder),
            smtp_port=free_port(),
            plain_port=free_port(),
            imap_port=free_port(),
            imaps_port=free_port(),
        )
        (folder / "log").mkdir()
        (folder / "mail").mkdir()
        shutil.chown(folder / "mail", *_owner())
        yield office


def _owner() -> tuple[int, int]:
    return pwd.getpwnam("mail").pw_uid, grp.getgrnam("mail").gr_gid


@contextmanager
def _running(command: Sequence[str | Path], port: int, said: Path) -> Iterator[None]:
    """Run a server as the leader of a session of its own until it is no longer needed."""
    with said.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
    try:
        _wait_for(port, process, said)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=10)


def _wait_for(port: int, process: subprocess.Popen[bytes], said: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as greeting:
                if greeting.recv(1):
                    return
        except OSError:
            time.sleep(0.05)
    logs = "".join(path.read_text(errors="replace") for path in said.parent.iterdir())
    raise RuntimeError(f"the server on port {port} did not come up:\n{logs}")


@contextmanager
def _postfix(office: PostOffice, users: Sequence[str], transport: str) -> Iterator[None]:
    folder = office.folder
    uid, gid = _owner()
    settings, queue, data = folder / "postfix", folder / "queue", folder / "data"
    for place in (settings, queue, data, *(queue / name for name in QUEUES)):
        place.mkdir()
    for place in (data, *(queue / name for name in QUEUES if name != "pid")):
        shutil.chown(place, "postfix", "postdrop" if place.name in {"public", "maildrop"} else "root")
    (queue / "public").chmod(0o710)
    (queue / "private").chmod(0o700)
    (queue / "maildrop").chmod(0o730)
    (settings / "users").write_text("".join(f"{user} {user}/Maildir/\n" for user in users))
    domains = sorted({user.partition("@")[2] for user in users})
    (settings / "main.cf").write_text(
        textwrap.dedent(f"""\
        compatibility_level = 3.6
        queue_directory = {queue}
        data_directory = {data}
        daemon_directory = {POSTFIX.parent}
        command_directory = /usr/sbin
        mail_owner = postfix
        setgid_group = postdrop
        maillog_file_prefixes = {folder}
        maillog_file = {folder}/log/postfix
        myhostname = mail.{DOMAIN}
        mydestination =
        inet_interfaces = 127.0.0.1
        inet_protocols = ipv4
        mynetworks = 127.0.0.0/8
        smtp_dns_support_level = disabled
        default_transport = error:nothing leaves this machine
        virtual_mailbox_domains = {", ".join(domains)}
        virtual_mailbox_base = {folder}/mail
        virtual_mailbox_maps = texthash:{settings}/users
        virtual_minimum_uid = 1
        virtual_uid_maps = static:{uid}
        virtual_gid_maps = static:{gid}
        virtual_transport = {transport}
        always_bcc = {JOURNAL}
        smtpd_reject_unlisted_recipient = no
        smtpd_peername_lookup = no
        smtpd_tls_cert_file = {folder}/here.pem
        smtpd_tls_key_file = {folder}/here.pem
        smtpd_sasl_type = dovecot
        smtpd_sasl_path = {folder}/auth
        smtpd_relay_restrictions = permit_sasl_authenticated, reject
        smtpd_client_connection_rate_limit = 0
        smtpd_client_message_rate_limit = 0
        alias_maps =
        notify_classes =
        """)
    )
    secured = "-o smtpd_tls_security_level=encrypt -o smtpd_sasl_auth_enable=yes"
    clear = "-o smtpd_tls_security_level=none -o smtpd_relay_restrictions=permit_mynetworks,reject"
    (settings / "master.cf").write_text(
        textwrap.dedent(f"""\
        127.0.0.1:{office.smtp_port} inet n - n - - smtpd {secured}
        127.0.0.1:{office.plain_port} inet n - n - - smtpd {clear}
        pickup unix n - n 60 1 pickup
        cleanup unix n - n - 0 cleanup
        qmgr unix n - n 300 1 qmgr
        tlsmgr unix - - n 1000? 1 tlsmgr
        rewrite unix - - n - - trivial-rewrite
        bounce unix - - n - 0 bounce
        defer unix - - n - 0 bounce
        trace unix - - n - 0 bounce
        error unix - - n - - error
        retry unix - - n - - error
        discard unix - - n - - discard
        virtual unix - n n - - virtual
        proxymap unix - - n - - proxymap
        anvil unix - - n - 1 anvil
        postlog unix-dgram n - n - 1 postlogd
        """)
    )
    command = [POSTFIX, "-c", settings, "-s"]
    with _running(command, office.plain_port, folder / "log" / "postfix-master"):
        yield


@contextmanager
def _dovecot(office: PostOffice, users: Sequence[str]) -> Iterator[None]:
    folder = office.folder
    uid, gid = _owner()
    accounts = folder / "accounts"
    accounts.write_text("".join(f"{user}:{{PLAIN}}{PASSWORD}\n" for user in users))
    (folder / "dovecot.conf").write_text(
        textwrap.dedent(f"""\
        base_dir = {folder}/run
        state_dir = {folder}/run
        log_path = {folder}/log/dovecot
        listen = 127.0.0.1
        protocols = imap
        ssl = yes
        disable_plaintext_auth = no
        ssl_cert = <{folder}/here.pem
        ssl_key = <{folder}/here.pem
        auth_mechanisms = plain login
        first_valid_uid = 1
        mail_location = maildir:~/Maildir
        mailbox_list_index = no
        passdb {{
          driver = passwd-file
          args = {accounts}
        }}
        userdb {{
          driver = static
          args = uid={uid} gid={gid} home={folder}/mail/%u
        }}
        service imap-login {{
          inet_listener imap {{
            port = {office.imap_port}
          }}
          inet_listener imaps {{
            port = {office.imaps_port}
            ssl = yes
          }}
        }}
        service auth {{
          unix_listener {folder}/auth {{
            mode = 0666
          }}
        }}
        service stats {{
          client_limit = 100
        }}
        """)
    )
    with _running([DOVECOT, "-F", "-c", folder / "dovecot.conf"], office.imap_port, folder / "log" / "dovecot-said"):
        yield


def greet(office: PostOffice) -> None:
    """Prove that both servers answer."""
    with smtplib.SMTP("127.0.0.1", office.plain_port, timeout=10) as smtp:
        smtp.noop()
    with imaplib.IMAP4("127.0.0.1", office.imap_port, timeout=10) as imap:
        imap.noop()
