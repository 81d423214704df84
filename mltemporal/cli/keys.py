"""``mltemporal keys create | list | rotate | retire`` and ``mltemporal codec-server``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from mltemporal import stack
from mltemporal.encryption import keyring
from mltemporal.errors import InvalidRequest
from mltemporal.settings import Settings, process_settings
from mltemporal.words import moment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and what each of them takes."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    actions.add_parser("create", help="make a keyring where there is none").set_defaults(action=_create)
    actions.add_parser("list", help="list the keys, without the keys themselves").set_defaults(action=_list)
    rotate = actions.add_parser("rotate", help="add a key that encrypts from now on")
    rotate.add_argument(
        "--after",
        default="0s",
        metavar="10m",
        help="encrypt with it only then, so that everybody can be given the file before",
    )
    rotate.set_defaults(action=_rotate)
    retire = actions.add_parser("retire", help="remove a key that nothing open needs any more")
    retire.add_argument("key", metavar="KEY")
    retire.add_argument("--force", action="store_true", help="even where open jobs need it, and would fail")
    retire.set_defaults(action=_retire)


def keys(arguments: argparse.Namespace) -> int:
    """Carry out the action."""
    arguments.action(process_settings(), arguments)
    return 0


def codec_server(port: int, web_ui: str | None) -> int:
    """Open payloads for the Web UI until it is interrupted."""
    from mltemporal.encryption.codec_server import CodecServer

    settings = process_settings()
    found = _read(settings)
    origins = _origins(web_ui or stack.status(settings).web_ui)
    try:
        server = CodecServer(found, origins=origins, port=port)
    except OSError as error:
        raise InvalidRequest(f"port {port} cannot be used: {error.strerror}", "name another one") from error
    print("In the Web UI: the glasses at the top right, `Use my browser setting`, paste this, `Apply`:")
    print(f"\n  {server.url}\n")
    print(f"or call `temporal workflow show --codec-endpoint {server.url} …`")
    print(f"Pages that may ask: {', '.join(origins)}. Who knows the address can read; Ctrl-C ends it.")
    sys.stdout.flush()
    with server:
        server.serve_forever()
    return 0


def _create(settings: Settings, _: argparse.Namespace) -> None:
    path = _path(settings)
    made = keyring.create_keyring(path)
    print(f"a new keyring is in {path}" if made else f"there are keys in {path} already, and they stay")


def _list(settings: Settings, _: argparse.Namespace) -> None:
    from mltemporal.cli.runs import table

    found = _read(settings)
    encrypts, now = found.newest(), time.time()
    rows = [("KEY", "CREATED", "STATE")]
    for key in found.keys:
        waits = f"encrypts from {moment(key.encrypts_from)}" if key.encrypts_from > now else "decrypts"
        rows.append((key.id, moment(key.created_at), "encrypts" if key == encrypts else waits))
    for line in table(rows):
        print(line)
    print(f"\nin {found.path}")


def _rotate(settings: Settings, arguments: argparse.Namespace) -> None:
    from mltemporal.request import seconds

    delay_s = 0.0 if arguments.after in ("0", "0s") else seconds(arguments.after, "--after")
    path = _path(settings)
    _read(settings)
    key = keyring.rotate(path, delay_s=delay_s)
    print(f"the key {key.id} encrypts from {moment(key.encrypts_from)} on; the others still decrypt")
    if settings.encryption_keys:
        print(f"Give {path} to everybody who shares this Temporal, and to its workers, before that.")


def _retire(settings: Settings, arguments: argparse.Namespace) -> None:
    import asyncio

    found = _read(settings)
    key = found.find(arguments.key)
    if key is not None and not arguments.force:
        asyncio.run(_check_unused(settings, found, key))
    keyring.retire(found.path, arguments.key)
    print(f"the key {arguments.key} is gone; what it sealed in histories of closed jobs stays unreadable")
    print("mltemporal's own record of those jobs is not in Temporal, and stays")


async def _check_unused(settings: Settings, found: keyring.Keyring, key: keyring.Key) -> None:
    from mltemporal.encryption.in_use import check_unused

    await check_unused(await stack.connect(settings), found, key)


def _path(settings: Settings) -> Path:
    if settings.keys_file is None:
        raise InvalidRequest(
            "nothing is encrypted: a Temporal is configured and no keys are",
            "set MLTEMPORAL_ENCRYPTION_KEYS to a file, or `encryption_keys` in the profile",
        )
    return settings.keys_file


def _read(settings: Settings) -> keyring.Keyring:
    from mltemporal.encryption.plugin import keyring_of

    _path(settings)
    found = keyring_of(settings)
    assert found is not None
    return found


def _origins(web_ui: str) -> list[str]:
    parts = urlsplit(web_ui)
    if not parts.scheme or not parts.netloc:
        raise InvalidRequest(
            "the Web UI is not known, and only its pages may ask",
            "run `mltemporal up`, or pass --web-ui https://…",
        )
    origin = f"{parts.scheme}://{parts.netloc}"
    same = origin.replace("://127.0.0.1:", "://localhost:")
    return list(dict.fromkeys((origin, same)))
