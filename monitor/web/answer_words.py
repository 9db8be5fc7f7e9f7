"""The words of the answer pages in Malay and English. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from alerts import wording
from monitor.disclosure import level_of, one_line
from monitor.model import Alert, AlertKind, AlertState, Cause, Disclosure, Language, Removal, Resolution, Severity
from monitor.store.audit import SYSTEM, Event

MS, EN = Language.MS, Language.EN
Texts = Mapping[str, str]

# What an alert can be resolved as, by what it is about; `removed` makes sense for a post alone.
OFFERED_OTHERWISE = ("action_taken",)
OFFERED: Mapping[AlertKind, Sequence[str]] = {
    AlertKind.POST: ("removed", "action_taken", "false_alarm"),
    AlertKind.BACKLOG: ("action_taken", "false_alarm"),
    AlertKind.PROFILE: ("action_taken", "false_alarm"),
    AlertKind.EVALUATION: ("action_taken", "false_alarm"),
}
PAGE: Mapping[Language, Texts] = {
    MS: {
        "other_language": "English",
        "case": "Nombor kes",
        "severity": "Tahap",
        "published": "Masa hantaran",
        "opened": "Dikesan pada",
        "since": "Sejak",
        "cause": "Sebab",
        "see_post": "Lihat hantaran itu",
        "see_post_hint": "Dibuka di laman platform.",
        "clauses": "Peruntukan yang mungkin dilanggar",
        "paragraph": "Perenggan",
        "excerpt": "Petikan hantaran; pautan di dalamnya dimatikan",
        "no_excerpt": "Kandungan hantaran sengaja tidak diulang di sini.",
        "answer_as": "Jawapan dicatat atas nama {recipient}.",
        "acknowledge": "Akui terima: saya uruskan",
        "acknowledge_hint": "Peringatan berhenti; makluman dibuka semula selepas {days}, jika belum selesai.",
        "more": "Tambah tempoh atau catatan",
        "deadline": "Selesai dalam tempoh",
        "note": "Catatan (tidak wajib)",
        "note_hint": "Jangan ulang kandungan hantaran itu.",
        "finish": "Sudah selesai?",
        "finish_hint": "Tulis catatan jika perlu, kemudian pilih satu.",
        "correct": "Betulkan jawapan ini",
        "answer_all_the_same": "Jawab juga",
        "removed": "Hantaran telah diturunkan",
        "removed_hint": "Pantau membacanya semula untuk mengesahkan.",
        "action_taken": "Tindakan lain telah diambil",
        "action_taken_alone": "Tindakan telah diambil",
        "action_taken_hint": "Nyatakan tindakan itu dalam catatan.",
        "false_alarm": "Bukan pelanggaran",
        "false_alarm_hint": "Makluman ini tidak tepat.",
        "events": "Perkembangan",
        "day": "{n} hari",
        "days": "{n} hari",
        "footer": "Pantau hanya menyatakan syak. Keputusan terletak pada Ketua Jabatan. Pautan ini khusus untuk anda: "
        "jangan kirimkannya kepada orang lain.",
        "refused_footer": "Halaman ini tidak mengubah apa-apa.",
    },
    EN: {
        "other_language": "Bahasa Melayu",
        "case": "Case number",
        "severity": "Severity",
        "published": "Posted",
        "opened": "Found",
        "since": "Since",
        "cause": "Cause",
        "see_post": "Look at the post",
        "see_post_hint": "Opens on the platform.",
        "clauses": "Provisions that may be contravened",
        "paragraph": "Paragraph",
        "excerpt": "Excerpt of the post; links in it are made dead",
        "no_excerpt": "The content of the post is deliberately not repeated here.",
        "answer_as": "Answers are noted in the name of {recipient}.",
        "acknowledge": "Acknowledge: I take care of it",
        "acknowledge_hint": "Reminders stop; the alert opens again after {days}, unless it is resolved.",
        "more": "Add a deadline or a note",
        "deadline": "Done within",
        "note": "Note (optional)",
        "note_hint": "Do not repeat what the post says.",
        "finish": "Already done?",
        "finish_hint": "Write a note if you wish, then choose one.",
        "correct": "Correct this answer",
        "answer_all_the_same": "Answer all the same",
        "removed": "The post was removed",
        "removed_hint": "Pantau reads it again to confirm.",
        "action_taken": "Other action was taken",
        "action_taken_alone": "Action was taken",
        "action_taken_hint": "Please say which in the note.",
        "false_alarm": "No contravention",
        "false_alarm_hint": "This alert was a false alarm.",
        "events": "What has happened",
        "day": "{n} day",
        "days": "{n} days",
        "footer": "Pantau only suspects. The decision is the head of department's. This link is yours alone: do not "
        "pass it on.",
        "refused_footer": "This page changes nothing.",
    },
}
SAID: Mapping[Language, Texts] = {
    MS: {
        "done": "Terima kasih. Jawapan anda telah dicatat.",
        "already": "Jawapan ini telah dicatat sebelum ini; tiada apa-apa yang berubah.",
        "changed": "Makluman ini telah dijawab atau berubah sejak anda membukanya, maka jawapan anda tidak dicatat. "
        "Keadaan terkini adalah seperti di bawah.",
    },
    EN: {
        "done": "Thank you. Your answer has been noted.",
        "already": "This answer was noted before; nothing has changed.",
        "changed": "The alert was answered or has changed since you opened it, so your answer was not noted. This is "
        "how it stands now.",
    },
}
STANDING: Mapping[Language, Texts] = {
    MS: {
        "open": "Belum dijawab",
        "reopened": "Dibuka semula: {reason}",
        "acknowledged": "Telah diakui terima",
        "note_kept": "Catatannya telah disimpan dan tidak diulang di sini.",
        "until": "Untuk diselesaikan sebelum {deadline}; selepas itu makluman ini dibuka semula.",
        "resolved": "Selesai: {how}",
        "by": "Oleh {who}, {at}.",
        "recovered": "Selesai dengan sendirinya",
        "suppressed": "Diketepikan oleh pasukan keselamatan",
        "removal_reported": "Pantau sedang membaca semula hantaran itu untuk mengesahkannya.",
        "removal_confirmed": "Pantau telah mengesahkan bahawa hantaran itu tiada lagi.",
    },
    EN: {
        "open": "Not yet answered",
        "reopened": "Open again: {reason}",
        "acknowledged": "Acknowledged",
        "note_kept": "The note is kept, and not repeated here.",
        "until": "To be resolved before {deadline}; after that the alert opens again.",
        "resolved": "Resolved: {how}",
        "by": "By {who}, {at}.",
        "recovered": "Resolved by itself",
        "suppressed": "Set aside by the security team",
        "removal_reported": "Pantau is reading the post again to confirm it.",
        "removal_confirmed": "Pantau has confirmed that the post is gone.",
    },
}
RESOLVED: Mapping[Language, Mapping[Resolution, str]] = {
    MS: {
        Resolution.ACTION_TAKEN: "tindakan telah diambil",
        Resolution.POST_REMOVED: "hantaran telah diturunkan",
        Resolution.ACCEPTED: "diterima tanpa tindakan",
        Resolution.FALSE_ALARM: "bukan pelanggaran",
    },
    EN: {
        Resolution.ACTION_TAKEN: "action was taken",
        Resolution.POST_REMOVED: "the post was removed",
        Resolution.ACCEPTED: "accepted without action",
        Resolution.FALSE_ALARM: "no contravention",
    },
}
EVENTS: Mapping[Language, Texts] = {
    MS: {
        "alert opened": "Dikesan",
        "alert acknowledged": "Diakui terima",
        "alert resolved": "Selesai",
        "alert reopened": "Dibuka semula",
        "alert suppressed": "Diketepikan",
        "removal confirmed": "Penurunan disahkan",
    },
    EN: {
        "alert opened": "Found",
        "alert acknowledged": "Acknowledged",
        "alert resolved": "Resolved",
        "alert reopened": "Opened again",
        "alert suppressed": "Set aside",
        "removal confirmed": "Removal confirmed",
    },
}
# What is shown in place of an alert: title, then what happened and what to do.
REFUSALS: Mapping[Language, Mapping[str, Sequence[str]]] = {
    MS: {
        "forged": (
            "Pautan ini tidak sah",
            "Pautan ini tidak lengkap atau bukan daripada Pantau.",
            (
                "Buka semula pautan itu terus daripada e-mel Pantau. Jika masih gagal, hubungi pasukan keselamatan "
                "dengan menyatakan nombor kes dalam e-mel itu."
            ),
        ),
        "expired": (
            "Pautan ini telah tamat tempoh",
            "Demi keselamatan, pautan dalam e-mel Pantau hanya sah untuk tempoh yang terhad.",
            "Hubungi pasukan keselamatan agensi anda dengan menyatakan nombor kes; mereka boleh mencatat jawapan anda.",
        ),
        "unknown": (
            "Kes ini tidak ditemui",
            "Pautan ini sah, tetapi Pantau tidak mempunyai rekod kes tersebut.",
            "Hubungi pasukan keselamatan dengan menyatakan nombor kes dalam e-mel itu.",
        ),
        "outdated": (
            "Kes ini telah dibuka semula",
            (
                "Pautan ini daripada e-mel yang terdahulu. Selepas itu kes ini dibuka semula, dan e-mel yang lebih "
                "baharu telah atau akan dikirimkan."
            ),
            "Gunakan pautan dalam e-mel yang terbaharu bagi kes ini.",
        ),
        "elsewhere": (
            "Jawapan tidak dicatat",
            "Borang ini tidak datang daripada halaman Pantau sendiri, atau tidak lengkap.",
            "Buka semula pautan daripada e-mel itu, kemudian jawab di sana.",
        ),
        "too_long": (
            "Catatan terlalu panjang",
            "Jawapan tidak dicatat kerana catatannya terlalu panjang.",
            "Kembali, ringkaskan catatan itu, dan hantar semula.",
        ),
        "busy": (
            "Pantau tidak dapat menjawab buat masa ini",
            "Pangkalan data sedang sibuk atau terganggu. Jawapan anda mungkin belum dicatat.",
            "Cuba lagi dalam beberapa minit; menjawab dua kali tidak memudaratkan.",
        ),
    },
    EN: {
        "forged": (
            "This link is not valid",
            "The link is not whole, or does not come from Pantau.",
            (
                "Open it again straight from Pantau's mail. If that fails too, contact the security team and quote the "
                "case number in the mail."
            ),
        ),
        "expired": (
            "This link has expired",
            "For safety the links in Pantau's mails hold for a limited time only.",
            "Contact your agency's security team and ask for the case by its number; they can note your answer.",
        ),
        "unknown": (
            "There is no such case",
            "The link is valid, but Pantau has no record of its case.",
            "Contact the security team and quote the case number in the mail.",
        ),
        "outdated": (
            "This case was reopened",
            (
                "The link is from an earlier mail. Since then the case was opened again, and a newer mail was sent or "
                "is on its way."
            ),
            "Use the link in the newest mail about this case.",
        ),
        "elsewhere": (
            "Your answer was not noted",
            "The form did not come from Pantau's own page, or is not whole.",
            "Open the link in the mail again, and answer there.",
        ),
        "too_long": (
            "The note is too long",
            "Your answer was not noted, because the note is too long.",
            "Go back, shorten the note, and send it again.",
        ),
        "busy": (
            "Pantau cannot answer at the moment",
            "The database is busy or disturbed. Your answer may not have been noted.",
            "Try again in a few minutes; answering twice does no harm.",
        ),
    },
}


@dataclass(frozen=True, slots=True)
class Words:
    """Everything the pages say, in one language."""

    language: Language

    def __getitem__(self, name: str) -> str:
        return PAGE[self.language][name]

    @property
    def other(self) -> Language:
        return EN if self.language is MS else MS

    def days(self, number: float) -> str:
        return self["day" if number == 1 else "days"].format(n=f"{number:g}")

    def severity(self, severity: Severity) -> str:
        return wording.SEVERITIES[self.language][severity]

    def kind(self, kind: AlertKind) -> str:
        words = wording.KINDS[self.language].get(kind, kind.value.replace("_", " "))
        return words[:1].upper() + words[1:]

    def cause(self, cause: Cause | None) -> str:
        return wording.cause(cause, self.language)[0] if cause else ""

    def said(self, name: str) -> str:
        return SAID[self.language].get(name, "")

    def refusal(self, about: str) -> tuple[str, Sequence[str]]:
        title, *sentences = REFUSALS[self.language][about]
        return title, sentences

    def standing(self, alert: Alert, events: Sequence[Event]) -> list[str]:
        """Return how the alert stands: a headline, then what there is to know of it."""
        texts = STANDING[self.language]
        if alert.state is AlertState.ACKNOWLEDGED:
            return self._acknowledged(alert, texts)
        if alert.state is AlertState.RESOLVED:
            return self._resolved(alert, events, texts)
        if alert.state is AlertState.SUPPRESSED:
            return [texts["suppressed"]]
        if alert.reopened_for:
            return [texts["open"], texts["reopened"].format(reason=wording.reopened(alert.reopened_for, self.language))]
        return [texts["open"]]

    def _acknowledged(self, alert: Alert, texts: Texts) -> list[str]:
        at = wording.moment(alert.acknowledged_at, self.language) if alert.acknowledged_at else "–"
        lines = [texts["acknowledged"], texts["by"].format(who=_who(alert.owner), at=at)]
        if alert.note:
            lines.append(self._note(alert.note, alert))
        if alert.deadline:
            lines.append(texts["until"].format(deadline=wording.moment(alert.deadline, self.language)))
        return lines

    def _resolved(self, alert: Alert, events: Sequence[Event], texts: Texts) -> list[str]:
        if alert.resolution is None:
            return [texts["recovered"]]
        lines = [texts["resolved"].format(how=RESOLVED[self.language][alert.resolution])]
        last = next((event for event in reversed(events) if event.event == "alert resolved"), None)
        if last is not None:
            at = wording.moment(last.at, self.language)
            lines.append(texts["by"].format(who=_who(last.actor), at=at))
        if alert.resolution_note:
            lines.append(self._note(alert.resolution_note, alert))
        if alert.removal is Removal.REPORTED:
            lines.append(texts["removal_reported"])
        if alert.removal is Removal.CONFIRMED:
            lines.append(texts["removal_confirmed"])
        return lines

    def _note(self, note: str, alert: Alert) -> str:
        """Return a person's note; it may quote the post, so what keeps the post's words inside keeps it too."""
        if alert.post is not None and min(alert.disclosure, level_of(alert.findings)) is Disclosure.NONE:
            return STANDING[self.language]["note_kept"]
        return f"“{one_line(note, limit=500)}”"

    def events(self, events: Iterable[Event]) -> list[tuple[str, str]]:
        """Return (time, what happened and by whom) for what concerns the reader: no mails, no looks."""
        names = EVENTS[self.language]
        return [(wording.short(event.at), self._event(event, names)) for event in events if event.event in names]

    def _event(self, event: Event, names: Texts) -> str:
        said = names[event.event]
        resolution = event.facts.get("resolution")
        if resolution in set(Resolution):
            said += f": {RESOLVED[self.language][Resolution(str(resolution))]}"
        if event.event == "alert reopened" and event.facts.get("reason"):
            said += f": {wording.reopened(str(event.facts['reason']), self.language)}"
        return said if event.actor == SYSTEM else f"{said} ({_who(event.actor)})"


def _who(name: str) -> str:
    """Return a person's name as noted; what retention has emptied is a dash."""
    return "–" if name in {"", "purged"} else one_line(name)


def words_of(language: Language) -> Words:
    return Words(language)
