"""Every mail as files to look at, from fictional cases: nothing is sent, no database is asked."""

from __future__ import annotations

import base64
import email
import email.policy
from dataclasses import replace
from email.message import EmailMessage
from html import escape
from pathlib import Path

from alerts import sample_weeks, samples
from alerts.envelope import Envelope
from alerts.smime import Certificates
from monitor.model import Language

SEEN_FROM = "https://pantau.example.my"  # stands for the console's address when none is configured
INDEX = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pantau: mails</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font-family: system-ui, Arial, sans-serif; line-height: 1.5;
  max-width: 960px; margin: 24px auto; padding: 0 16px; }}
li {{ margin-bottom: 12px; overflow-wrap: anywhere; }}
</style>
</head>
<body>
<h1>Mails of fictional cases</h1>
<p>As the templates of this installation write them. Nothing was sent; the links for answers lead nowhere.</p>
{lists}
</body>
</html>
"""


def write_preview(folder: Path, envelope: Envelope) -> int:
    """Write each sample in each language as .eml, .txt and .html, and an index.html. Returns how many mails.

    Raises OSError, and jinja2.TemplateError for a mistake in a template.
    """
    shown = replace(
        envelope,
        public_url=envelope.public_url or SEEN_FROM,
        link_key="preview",
        certificates=Certificates(),
        encrypted_excerpt=False,
    )
    folder.mkdir(parents=True, exist_ok=True)
    rows = [(language, _write(folder, language, shown)) for language in Language]
    lists = "".join(f'<h2>{language.value}</h2>\n<ul lang="{language.value}">\n{row}</ul>\n' for language, row in rows)
    (folder / "index.html").write_text(INDEX.format(lists=lists), encoding="utf-8")
    return sum(row.count("<li>") for _, row in rows)


def _write(folder: Path, language: Language, envelope: Envelope) -> str:
    """Write one language's mails and return their lines of the index."""
    rows = ""
    for sample in (*samples.samples(), *sample_weeks.samples()):
        if sample.template == "test" and language is not Language.MS:
            continue  # it speaks both languages at once
        stem = f"{language.value}-{sample.name}"
        content = sample.compose(language, envelope)
        mail = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        (folder / f"{stem}.eml").write_bytes(content)
        endings = [*_write_texts(folder / stem, mail), ".eml"]
        links = " ".join(f'<a href="{stem}{ending}">{ending[1:]}</a>' for ending in endings)
        rows += f"<li><strong>{sample.name}</strong>: {links}<br>{escape(str(mail['Subject']))}</li>\n"
    return rows


def _write_texts(stem: Path, mail: EmailMessage) -> list[str]:
    """Write what a person would see of a mail. Returns the endings of the files, the page first."""
    written = []
    for kind, ending in (("html", ".html"), ("plain", ".txt")):
        part = mail.get_body((kind,))
        if part is not None:
            words = _with_pictures(part.get_content(), mail)
            stem.with_name(stem.name + ending).write_text(words, encoding="utf-8")
            written.append(ending)
    return written


def _with_pictures(page: str, mail: EmailMessage) -> str:
    """Put a mail's inline pictures into its page, which stands alone as a file."""
    for part in mail.walk():
        if part.get_content_maintype() == "image":
            picture = base64.b64encode(part.get_content()).decode("ascii")
            page = page.replace(f"cid:{part['Content-ID'].strip('<>')}", f"data:image/png;base64,{picture}")
    return page
