"""What a network shows only on its inside: private addresses and the names of machines. Pure."""

from __future__ import annotations

import ipaddress
import re

from monitor.rules.detectors.detector import Detector
from monitor.rules.text import Span

# RFC 1918, and RFC 4193 for version 6
_PRIVATE = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))
_IPV4 = r"(?:10|172|192)(?:\.\d{1,3}){3}"
_IPV6 = r"f[cd][0-9a-f]{2}:[0-9a-f:]{2,40}"
_ADDRESS = re.compile(
    rf"(?<!versi )(?<!version )(?<![\w.:])(?:"
    rf"(?P<four>{_IPV4})(?:/\d{{1,2}})?(?![\w.]{{0,5}}\d)|(?P<six>{_IPV6})(?:/\d{{1,3}})?)",
    re.ASCII,
)


def _private_addresses(text: str) -> list[Span]:
    return [match.span() for match in _ADDRESS.finditer(text) if _is_private(match["four"] or match["six"])]


def _is_private(address: str) -> bool:
    try:
        one = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(one in network for network in _PRIVATE)


PRIVATE_ADDRESS = Detector("private-address", rf"{_IPV4}|{_IPV6}", _private_addresses)

_ROLES = r"(?:srv|svr|server|esxi?|vm|db|sql|dc|ad|fs|app|web|mail|file|nas|fw|vpn|proxy|backup|pc|ws)"
_NAME = (
    rf"{_ROLES}[-_](?:[a-z0-9]{{1,12}}[-_]){{0,2}}[a-z]{{0,12}}(?:0\d|\d{{2,3}})"
    r"|(?:srv|svr|esxi?|dc|db|sql|ad|fs|vm)[a-z]{0,6}0\d"
)
_INNER = r"local|localdomain|lan|intranet|internal|corp|home\.arpa"
_FULL = rf"[a-z0-9-]{{1,63}}\.(?:{_INNER})"
_SECTION = r"(?:intranet|internal|intra|dalaman)\.[a-z0-9-]{2,63}\.[a-z]{2,63}"
_SHARE = r"\\\\[a-z0-9._-]{1,63}\\[a-z0-9$._-]{1,80}|smb://[a-z0-9._-]{1,63}"
_HOST = re.compile(
    rf"(?<![\w.\\-])(?:(?:[a-z0-9-]{{1,63}}\.){{0,4}}{_FULL}(?![a-z0-9-]|\.[a-z])|{_SECTION}(?:\.[a-z]{{2,3}})?"
    rf"|(?:{_NAME})(?![a-z0-9]|[-_]\w)|{_SHARE})",
    re.ASCII,
)


def _internal_hosts(text: str) -> list[Span]:
    """Return machines by their name (srv-db01), their inner domain (RFC 6762, 8375 and habit) or their share (UNC)."""
    return [match.span() for match in _HOST.finditer(text)]


INTERNAL_HOST = Detector(
    "internal-host", rf"\b(?:{_NAME})|\.(?:{_INNER})\b|\b{_SECTION}|\\\\[a-z0-9]|smb://", _internal_hosts
)
