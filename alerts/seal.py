"""Signing what Pantau certifies: Ed25519 over canonical JSON, by a key that the installation made for itself."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.model import Json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_FACT = "certificate_key"  # of the database: the private key's 32 bytes in base64


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The 32 bytes that prove a signature. Its fingerprint is what people compare over the telephone."""

    raw: bytes

    @property
    def text(self) -> str:
        return base64.b64encode(self.raw).decode("ascii")

    @property
    def fingerprint(self) -> str:
        """Return 128 bits of the key's SHA-256 as eight groups of four digits."""
        digits = hashlib.sha256(self.raw).hexdigest()[:32]
        return " ".join(digits[at : at + 4] for at in range(0, 32, 4))

    def answers_to(self, name: str) -> bool:
        """Say whether `name` is this key in base64, or its fingerprint with or without spaces."""
        return name.strip() == self.text or "".join(name.split()).lower() == self.fingerprint.replace(" ", "")


def new_key() -> str:
    """Return a new private key as it is kept: an Ed25519 key is any 32 bytes that nobody can guess."""
    return base64.b64encode(secrets.token_bytes(32)).decode("ascii")


def public_key(private: str) -> PublicKey:
    return PublicKey(_private(private).public_key().public_bytes_raw())


def named_key(text: str) -> PublicKey | None:
    """Read a public key in base64; None when it is none."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return PublicKey(raw) if len(raw) == 32 else None


def canonical(facts: Json) -> str:
    """Return the one text of these facts: sorted keys, no spaces, ASCII, and no "<" that a page could take for markup.

    Facts hold texts, whole numbers, switches, lists and tables: fractions are written differently by other programs.
    """
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def sign(private: str, text: str) -> str:
    return base64.b64encode(_private(private).sign(text.encode())).decode("ascii")


def is_signed(key: PublicKey, text: str, signature: str) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(base64.b64decode(signature, validate=True), text.encode())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _private(text: str) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(text))
