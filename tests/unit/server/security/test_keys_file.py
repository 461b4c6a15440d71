"""Keys are added, ended and replaced in a file that its owner alone can read."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headrace.errors import SettingsError, UnknownNameError
from headrace.server.security.keys import KeyRing
from headrace.server.security.keys_file import new_key, read_keys, revoke_key, rotate_key
from headrace.types import DAY, FOREVER, instant

NOW = instant("2026-01-05T08:00:00Z")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "secrets" / "keys.json"


def test_a_new_key_is_kept_as_its_hash_in_a_private_file(file: Path) -> None:
    key, secret = new_key(file, NOW, rights=["read", "push"], services=["eta_model"], lasts_us=90 * DAY, note="eta")
    assert read_keys(file) == [key]
    assert key.expires_at == "2026-04-05T08:00:00Z"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_text()
    assert secret not in content
    assert secret[16:] not in content
    found = KeyRing.parse(file.read_bytes()).find(secret)
    assert found is not None
    assert found.caller.services == frozenset({"eta_model"})
    assert found.caller.rights == {"read", "push"}


def test_the_mode_stays_when_the_file_is_changed(file: Path) -> None:
    key, _ = new_key(file, NOW, rights=["read"])
    revoke_key(file, key.id, NOW)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir() if path.suffix == ".part"] == []


def test_a_revoked_key_stays_with_its_time(file: Path) -> None:
    key, _ = new_key(file, NOW, rights=["read"])
    assert revoke_key(file, key.id, NOW + DAY).revoked_at == "2026-01-06T08:00:00Z"
    assert revoke_key(file, key.id, NOW + 2 * DAY).revoked_at == "2026-01-06T08:00:00Z"
    assert [each.state(NOW + DAY) for each in read_keys(file)] == ["revoked"]


def test_a_rotated_key_may_do_what_the_old_one_may_and_both_are_valid_for_a_while(file: Path) -> None:
    old, _ = new_key(file, NOW, rights=["read"], services=["eta_model"], note="eta")
    new, secret = rotate_key(file, old.id, NOW, overlap_us=DAY)
    kept = {key.id: key for key in read_keys(file)}
    assert (new.rights, new.services, new.note) == (old.rights, old.services, old.note)
    assert new.ends_us == FOREVER
    assert kept[old.id].ends_us == NOW + DAY
    assert [kept[key_id].state(NOW + DAY - 1) for key_id in (old.id, new.id)] == ["valid", "valid"]
    assert [kept[key_id].state(NOW + DAY) for key_id in (old.id, new.id)] == ["expired", "valid"]
    assert KeyRing(read_keys(file)).find(secret) is not None


def test_a_key_that_would_end_before_is_not_made_to_last_by_a_rotation(file: Path) -> None:
    old, _ = new_key(file, NOW, rights=["read"], lasts_us=DAY)
    rotate_key(file, old.id, NOW, overlap_us=7 * DAY)
    assert read_keys(file)[0].ends_us == NOW + DAY


def test_a_key_that_has_ended_is_not_rotated(file: Path) -> None:
    old, _ = new_key(file, NOW, rights=["read"])
    revoke_key(file, old.id, NOW)
    with pytest.raises(SettingsError, match="is revoked"):
        rotate_key(file, old.id, NOW + 1, overlap_us=DAY)
    assert len(read_keys(file)) == 1


def test_an_unknown_key_is_answered_with_those_there_are(file: Path) -> None:
    key, _ = new_key(file, NOW, rights=["read"])
    with pytest.raises(UnknownNameError, match=key.id):
        revoke_key(file, "0" * 12, NOW)


def test_a_whole_key_may_be_named_and_is_not_shown(file: Path) -> None:
    key, secret = new_key(file, NOW, rights=["read"])
    assert revoke_key(file, secret, NOW).id == key.id
    stranger = "hr_" + "0" * 12 + "_" + "s" * 43
    with pytest.raises(UnknownNameError) as told:
        revoke_key(file, stranger, NOW)
    assert "sss" not in str(told.value)


def test_a_damaged_file_is_not_overwritten(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("{")
    file.chmod(0o600)
    with pytest.raises(SettingsError, match="damaged"):
        new_key(file, NOW, rights=["read"])
    assert file.read_text() == "{"


def test_changes_at_once_are_all_kept(file: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: new_key(file, NOW, rights=["read"])[0].id, range(24)))
    assert sorted(key.id for key in read_keys(file)) == sorted(made)


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="can't be written"):
        new_key(tmp_path / "file" / "keys.json", NOW, rights=["read"])
