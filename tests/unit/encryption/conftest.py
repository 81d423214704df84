from pathlib import Path

import pytest

from mltemporal.encryption.keyring import Keyring, home_keyring


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return home_keyring(tmp_path / "home" / "keys.json")
