"""Mail as files: one .eml a mail, for a fresh checkout, the demo, and machines that hand mail on by other means."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from alerts.channel import DeliveryFailed, ascii_address


class FolderChannel:
    """Writes each mail whole or not at all. The same Message-ID is the same file: sent twice, it is still one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def announce(self, *, recipient: str, message_id: str) -> None:
        """Nobody is there to be told."""

    def send(self, mail: bytes, *, recipient: str, message_id: str) -> str:
        ascii_address(recipient)  # whoever hands the file on could not deliver it either
        path = self.folder / file_name(message_id)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write_whole(path, re.sub(rb"\r?\n", b"\r\n", mail))
        except OSError as error:
            raise DeliveryFailed(
                f"mail.folder: {self.folder}: cannot be written ({error.strerror}); check its rights and free space",
                server=True,
            ) from error
        return str(path)

    def check(self) -> str:
        probe = self.folder / f".check-{os.getpid()}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write_whole(probe, b"")
            probe.unlink()
        except OSError as error:
            raise DeliveryFailed(f"mail.folder: {self.folder}: cannot be written ({error.strerror})") from error
        return f"mails are written to {self.folder}"

    def rest(self) -> None:
        pass

    def close(self) -> None:
        pass


def file_name(message_id: str) -> str:
    """Return a safe file name that only this Message-ID has."""
    name = message_id.strip("<> \r\n").partition("@")[0]
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}", name):
        return f"{name}.eml"
    return f"{hashlib.sha256(message_id.encode('utf-8', 'surrogatepass')).hexdigest()[:40]}.eml"


def _write_whole(path: Path, content: bytes) -> None:
    """Write beside, flush to the disk, rename: a crash leaves the old file or the new one, never half of it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(beside, "wb", opener=_for_us_alone) as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _for_us_alone(path: str, flags: int) -> int:
    """Open a file that nobody else reads: a mail may hold an excerpt, and links that are the right to answer."""
    return os.open(path, flags, 0o600)
