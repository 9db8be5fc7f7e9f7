"""Which addresses lie out on the Internet, for everybody to see. Pure.

Old addresses travel inside new ones, and a gateway on the way takes them out again: what counts is where it leads.
Source: IANA's registries of special-purpose addresses; RFC 4291 (embedded), 6052 (NAT64), 3056 (6to4), 2765 (SIIT).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from monitor.settings import IPNetwork

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # all that is given out; what lies outside leads to nobody's site
DOCUMENTATION = ipaddress.IPv6Network("3fff::/20")  # since 2024: Python 3.11 does not know it
RELAYS = (ipaddress.IPv4Network("192.88.99.0/24"),)  # 6to4's anycast: whoever is nearest answers
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
LAST_32_BITS = (
    NAT64,
    ipaddress.IPv6Network("::ffff:0:0:0/96"),  # translated
    ipaddress.IPv6Network("::/96"),  # compatible; loopback and "nothing" lie in it as well
)


def is_admitted(text: str, *, allow: Iterable[IPNetwork]) -> bool:
    """Say whether an address may be asked: it is public, or the administrator admits it."""
    seen = ipaddress.ip_address(text.partition("%")[0])
    address = _mapped(seen) or seen
    allowed = tuple(allow)
    if _is_in(address, allowed):
        return True
    inside = _inside(address)
    if inside is None:
        return _is_public(address)
    return _is_in(inside, allowed) or (_is_public(inside) and (_is_public(address) or address in NAT64))


def _is_in(address: Address, networks: Iterable[IPNetwork]) -> bool:
    return any(address.version == one.version and address in one for one in networks)


def _mapped(address: Address) -> ipaddress.IPv4Address | None:
    return address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None


def _inside(address: Address) -> ipaddress.IPv4Address | None:
    """Return the old address that a new one carries to a gateway."""
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if any(address in network for network in LAST_32_BITS):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.sixtofour


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast and not _is_in(address, RELAYS)
    return address in GLOBAL_UNICAST and address.is_global and address not in DOCUMENTATION
