"""Passwords, keys and tokens: by the forms their issuers document, or by the word in front and the value's own form."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

import re2

from monitor.rules.detectors.detector import Detector
from monitor.rules.text import Span

_KEY_FORMS = (
    r"\b(?:akia|asia)[0-9a-z]{16}\b"  # AWS
    r"|\baiza[0-9a-z_-]{35}\b|\bya29\.[0-9a-z_-]{20,200}|\bgocspx-[0-9a-z_-]{20,40}"  # Google
    r"|\bxox[abeoprs]-[0-9a-z-]{10,200}|hooks\.slack\.com/services/[0-9a-z/]{20,80}"  # Slack
    r"|\bgh[pousr]_[0-9a-z]{36}\b|\bgithub_pat_[0-9a-z_]{22,100}\b"
    r"|\bgl(?:pat|ptt|rt)-[0-9a-z_-]{20,60}"  # GitLab
    r"|\b\d{8,10}:aa[0-9a-z_-]{33}\b"  # Telegram's bots
    r"|\b[sr]k_(?:live|test)_[0-9a-z]{16,120}"  # Stripe
    r"|\bsk-[0-9a-z_-]{32,200}|\bsg\.[0-9a-z_-]{22}\.[0-9a-z_-]{43}"
    r"|\beaa[0-9a-z]{40,250}\b"  # Meta
    r"|\bey[0-9a-z_-]{10,400}\.ey[0-9a-z_-]{10,400}\.[0-9a-z_-]{10,400}"  # JSON Web Token, RFC 7519
    r"|-----begin (?:[a-z]{2,9} )?private key-----"  # RFC 7468
    r"|\b(?:accountkey|sharedaccesskey)=[0-9a-z+/]{40,100}=?|\bsig=[0-9a-z%+/]{40,100}"  # Azure
    r"|\b[a-z][a-z0-9+]{2,12}://[^\s:@/]{1,40}:[^\s:@/]{3,40}@[a-z0-9.-]{3,100}"  # a connection with its password
)
_KEY_FORM = re2.compile(_KEY_FORMS)  # so many forms take `re` sixty times as long
_WORDS = r"(?:kata ?laluan|pass?word|passwd|pwd|pass ?code|pass ?phrase|pw|p/w)(?:nya)?"
_VALUE = r"[\"'`]?(?P<value>[^\s\"',;`]{4,64})"
_NAMED = re.compile(
    rf"\b{_WORDS}\b[^\n:=]{{0,40}}(?:[:=]{{1,2}}|->|→) ?{_VALUE}"
    rf"|\b{_WORDS}\b[^\n:=]{{0,40}} (?:is|ialah|adalah|iaitu|jadi|kepada|to) {_VALUE.replace('value', 'said')}",
    re.ASCII,
)
_BESIDE = re.compile(rf"\b{_WORDS} [\"'`]?(?P<value>[^\s\"',;`:=]{{6,64}})", re.ASCII)
_SHORT = re.compile(
    r"\b(?=pass ?[:=])(?<!boarding )(?<!season )(?<!media )pass ?[:=] ?(?P<value>[^\s\"',;`]{4,64})"
    r"|\b(?:kod )?pin ?(?:[:=]|ialah|adalah|is) ?(?P<pin>\d{4,8})(?![\w-])",
    re.ASCII,
)
_TRIGGER = rf"{_KEY_FORMS}|\b{_WORDS}\b|\bpass ?[:=]|\bpin ?(?:[:=]|ialah|adalah|is)"
_PLACEHOLDER = re.compile(
    r"[x*•.…_#?-]+|<.*|\[.*|\(.*|\{.*|\$\{.*|(?:anda|your|awak|baru|new|baharu)\b.*|https?:.*|//.*|www\..*"
)
_WARNED = re.compile(
    r"\b(?:jangan (?:sesekali |sekali-kali )?(?:guna|pakai)|jgn (?:guna|pakai)|elak(?:kan)?|"
    r"contoh(?:nya)?|cth|misal(?:nya)?|"
    r"example|e\.g|never use|do not use|don'?t use|avoid|lemah|weak)\b",
    re.ASCII,
)
_WARNING_REACH = 50
LEAST_ENTROPY = 1.5  # bits a character: below it a value is a row of the same signs


def _secrets(text: str) -> Iterator[Span]:
    for match in _KEY_FORM.finditer(text):
        yield match.span()
    for form in (_NAMED, _SHORT, _BESIDE):
        for match in form.finditer(text):
            group = match.lastgroup or "value"
            if _is_value(match[group], beside=form is _BESIDE) and not _is_warned_of(text, match):
                yield _trimmed(match.span(group), match[group])


def _is_value(value: str, *, beside: bool) -> bool:
    """Tell whether a word may be a password: it has a digit or a sign, and more without a colon in front."""
    bare = value.rstrip(".!?)")
    digits = any(c.isdigit() for c in bare)
    if beside and not (digits and any(c.isalpha() for c in bare) and not re.match(r"\d+[-a-z]*\Z", bare)):
        return False
    spelled = digits or any(not c.isalnum() and c not in "-/" for c in bare)  # "sekurang-kurangnya" is a word
    return spelled and not _PLACEHOLDER.fullmatch(value) and entropy(value) >= LEAST_ENTROPY


def _is_warned_of(text: str, match: re.Match[str]) -> bool:
    """Tell whether the sentence says not to use this one, or that it is an example."""
    before = text[max(0, match.start() - _WARNING_REACH) : match.start(match.lastgroup or 0)]
    return _WARNED.search(before.rpartition("\n")[2]) is not None


def _trimmed(span: Span, value: str) -> Span:
    """Return the span without the full stop of the sentence."""
    return span[0], span[1] - value.endswith((".", ")"))


def entropy(value: str) -> float:
    """Return Shannon's entropy of a text's characters, in bits a character."""
    counts = Counter(value)
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())


SECRET = Detector("secret", _TRIGGER, lambda text: sorted(set(_secrets(text))))
