"""What an administrator can get wrong in a platform's section: said at the start, not by the first call.

Each check returns a sentence without the key, which the caller knows; empty when all is right. None repeats a token.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from monitor.settings import Secret

Problems = list[tuple[str, str]]  # key and sentence
GRAPH_VERSION = r"v?[0-9]{1,3}\.[0-9]{1,2}"  # of Meta's Graph APIs


def base_url_mistake(url: str, *, usual: str) -> str:
    """Say what is wrong with the address of a platform's API."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f'is no address: brackets or port are wrong; write one like "{usual}"'
    if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"[\s\\]", url):
        return f"'{url}': expected an address with http:// or https:// and a host, like \"{usual}\""
    if port == 0:
        return f'has the port 0; leave the port out, or write one from 1 to 65535, like "{usual}"'
    if parts.username is not None or parts.query or parts.fragment:
        return f'holds more than scheme, host, port and path (a name, a password, "?" or "#"); write one like "{usual}"'
    return ""


def token_mistake(token: Secret) -> str:
    """Say what is wrong with a token; an empty one is not: it is missing, which is said elsewhere."""
    if re.fullmatch(r"[!-~]*", token.reveal()):
        return ""
    return "holds white space, a line break or a character outside ASCII; copy the token again, alone and on one line"


def graph_version_mistake(version: str, *, usual: str) -> str:
    """Say what is wrong with the version of one of Meta's Graph APIs."""
    is_version = re.fullmatch(GRAPH_VERSION, version.strip())
    return "" if is_version else f"'{version}': expected a version such as \"{usual}\""


def only(**found: str) -> Problems:
    """Return the keys with a mistake."""
    return [(key, sentence) for key, sentence in found.items() if sentence]
