import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.channel import DeliveryFailed
from alerts.folder import FolderChannel, file_name

WHO = "ketua@jpd.example.my"


def test_a_mail_is_one_file_with_crlf_line_ends(tmp_path):
    folder = FolderChannel(tmp_path / "var" / "mail")
    where = folder.send(b"Subject: a\n\nb\r\nc\n", recipient=WHO, message_id="<pantau.1@example.my>")
    assert where == str(tmp_path / "var" / "mail" / "pantau.1.eml")
    assert (folder.folder / "pantau.1.eml").read_bytes() == b"Subject: a\r\n\r\nb\r\nc\r\n"
    assert (folder.folder / "pantau.1.eml").stat().st_mode & 0o777 == 0o600, "it holds a link that is a right"


def test_the_same_message_id_is_the_same_file(tmp_path):
    folder = FolderChannel(tmp_path)
    for _ in range(2):
        folder.send(b"a", recipient=WHO, message_id="<pantau.1@example.my>")
    folder.send(b"b", recipient=WHO, message_id="<pantau.2@example.my>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pantau.1.eml", "pantau.2.eml"]


@given(st.text(max_size=120))
def test_no_message_id_leaves_the_folder(message_id):
    name = file_name(message_id)
    assert "/" not in name
    assert not name.startswith(".")
    assert name.endswith(".eml")
    assert len(name) < 120


def test_a_crash_while_writing_leaves_no_half_mail(tmp_path, monkeypatch):
    """The disk fills up at the last moment: no .eml, and the mail is tried again."""

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DeliveryFailed, match=r"mail\.folder: .*No space left on device") as caught:
        FolderChannel(tmp_path).send(b"a", recipient=WHO, message_id="<pantau.1@example.my>")
    assert caught.value.server
    assert not any(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_named_by_check_and_send(tmp_path):
    (tmp_path / "file").write_text("in the way")
    folder = FolderChannel(tmp_path / "file" / "mail")
    with pytest.raises(DeliveryFailed, match=r"mail\.folder: .*/file/mail"):
        folder.check()
    with pytest.raises(DeliveryFailed) as caught:
        folder.send(b"a", recipient=WHO, message_id="<pantau.1@example.my>")
    assert not caught.value.permanent


def test_check_proves_the_folder_and_leaves_nothing(tmp_path):
    assert str(tmp_path / "mail") in FolderChannel(tmp_path / "mail").check()
    assert not any((tmp_path / "mail").iterdir())


def test_an_address_that_no_mail_server_takes_is_refused_here_too(tmp_path):
    with pytest.raises(DeliveryFailed) as caught:
        FolderChannel(tmp_path).send(b"a", recipient="ketüa@b.my", message_id="<pantau.1@example.my>")
    assert caught.value.permanent
