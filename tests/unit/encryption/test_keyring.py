import base64
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mltemporal.encryption.keyring import (
    Keyring,
    create_keyring,
    home_keyring,
    read_keyring,
    retire,
    rotate,
)
from mltemporal.errors import InvalidRequest, NotFound


def test_a_home_gets_a_key_of_its_own_on_first_use(keyring: Keyring) -> None:
    assert 1 == len(keyring.keys)
    assert 32 == len(keyring.keys[0].secret)
    assert 0o600 == stat.S_IMODE(keyring.path.stat().st_mode)
    assert keyring.keys == home_keyring(keyring.path).keys


def test_two_homes_have_different_keys(keyring: Keyring, tmp_path: Path) -> None:
    assert keyring.keys[0].secret != home_keyring(tmp_path / "other.json").keys[0].secret


RACE = """
import sys
from pathlib import Path
from mltemporal.encryption.keyring import home_keyring, rotate
path = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print((rotate(path) if sys.argv[2:] else home_keyring(path).keys[0]).id)
"""


def race(path: Path, *arguments: str) -> set[str]:
    """Let six processes do it at once, and return the ids of the keys that they came to."""
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(path), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert "ready" == racer.stdout.readline().strip()
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    return {racer.communicate(timeout=30)[0].strip() for racer in racers}


def test_of_those_who_create_it_at_once_the_first_wins_and_all_have_its_key(tmp_path: Path) -> None:
    assert 1 == len(race(tmp_path / "keys.json"))
    assert ["keys.json"] == [path.name for path in tmp_path.iterdir()], "nothing half-made is left"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o666])
def test_keys_that_others_can_read_are_refused(keyring: Keyring, mode: int) -> None:
    keyring.path.chmod(mode)
    with pytest.raises(InvalidRequest, match=f"{mode:04o}") as caught:
        home_keyring(keyring.path)
    assert "chmod 600" in caught.value.next_step


def test_the_group_of_a_pod_may_read_a_secret_that_is_mounted_but_nobody_else(keyring: Keyring) -> None:
    keyring.path.chmod(0o440)
    assert keyring.keys == read_keyring(keyring.path).keys
    keyring.path.chmod(0o444)
    with pytest.raises(InvalidRequest, match="others"):
        read_keyring(keyring.path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_keys_of_another_user_are_refused(keyring: Keyring) -> None:
    os.chown(keyring.path, 65534, -1)
    with pytest.raises(InvalidRequest, match="another user"):
        home_keyring(keyring.path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"keys": []}',
        '{"keys": [{"id": "k1"}]}',
        '{"keys": [{"id": "k1", "created_at": 1, "encrypts_from": 1, "secret": "c2hvcnQ="}]}',
        '{"keys": [{"id": "k 1", "created_at": 1, "encrypts_from": 1, "secret": "%s"}]}',
    ],
)
def test_what_is_no_keyring_is_refused_without_a_word_of_it(tmp_path: Path, text: str) -> None:
    secret = base64.b64encode(b"s" * 32).decode()
    path = tmp_path / "keys.json"
    path.touch(0o600)
    path.write_text(text.replace("%s", secret))
    with pytest.raises(InvalidRequest, match="is no keyring") as caught:
        home_keyring(path)
    assert secret not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_folder_in_the_keys_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="is no file"):
        home_keyring(tmp_path)


def test_the_newest_key_encrypts_after_a_rotation_and_all_stay(keyring: Keyring) -> None:
    first = keyring.newest()
    second = rotate(keyring.path)
    assert second == keyring.newest(), "the keyring that was open before has noticed"
    assert [first, second] == list(keyring.keys)
    assert 0o600 == stat.S_IMODE(keyring.path.stat().st_mode)


def test_a_key_of_tomorrow_decrypts_today_and_encrypts_tomorrow(keyring: Keyring) -> None:
    first = keyring.newest()
    later = rotate(keyring.path, delay_s=86_400)
    assert first == keyring.newest()
    assert later == keyring.find(later.id)
    assert later == keyring.newest(now=later.encrypts_from)


def test_rotations_at_once_keep_each_others_keys(keyring: Keyring) -> None:
    added = race(keyring.path, "rotate")
    assert {keyring.newest().id, *added} <= {key.id for key in read_keyring(keyring.path).keys}
    assert 7 == len(read_keyring(keyring.path).keys)


def test_a_retired_key_is_gone(keyring: Keyring) -> None:
    first, second = keyring.newest(), rotate(keyring.path)
    retire(keyring.path, first.id)
    assert [second.id] == [key.id for key in read_keyring(keyring.path).keys]


def test_the_newest_key_is_not_retired(keyring: Keyring) -> None:
    with pytest.raises(InvalidRequest, match="in use") as caught:
        retire(keyring.path, keyring.newest().id)
    assert "rotate" in caught.value.next_step


def test_neither_is_the_one_that_still_encrypts(keyring: Keyring) -> None:
    first, later = keyring.newest(), rotate(keyring.path, delay_s=86_400)
    for key in (first, later):
        with pytest.raises(InvalidRequest, match="in use"):
            retire(keyring.path, key.id)


def test_an_unknown_key_is_not_retired(keyring: Keyring) -> None:
    with pytest.raises(NotFound, match="'k0'") as caught:
        retire(keyring.path, "k0")
    assert keyring.newest().id in caught.value.next_step


def test_a_keyring_is_made_once(keyring: Keyring) -> None:
    assert not create_keyring(keyring.path)
    assert keyring.keys == read_keyring(keyring.path).keys


def test_no_text_shows_a_secret(keyring: Keyring) -> None:
    secret = keyring.newest().secret
    shown = repr(keyring) + repr(keyring.newest()) + str(keyring.keys)
    written = json.loads(keyring.path.read_text())["keys"][0]["secret"]
    assert written not in shown
    assert repr(secret) not in shown
    assert secret.hex() not in shown
