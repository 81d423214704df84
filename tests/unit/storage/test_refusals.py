"""Every way in which S3 refuses or is away, made to happen, and the sentence that tells it."""

import datetime
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import botocore.auth
import pytest
from services.s3 import IDENTITIES, S3Server
from services.s3_faults import Answer, error_body

from mltemporal.errors import InvalidRequest, MLTemporalError, ServiceUnavailable
from mltemporal.specs.data import ObjectRef
from mltemporal.storage.content import Storage

KEYS = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile in AWS_PROFILE"
REACH = "check AWS_ENDPOINT_URL, the network, and that the server runs"
GRANT = "grant these keys s3:ListBucket on the bucket; s3:GetObject, s3:PutObject, s3:DeleteObject below it"
URL = ("AWS_ENDPOINT_URL is no URL of a server", "set it to a URL such as https://s3.example.com")
AGAIN = "nothing, if it passes; it was tried several times and will be again"
REF = ObjectRef(sha256="ab" * 32, size_bytes=3)

OPERATIONS: dict[str, Callable[[Storage], object]] = {
    "look for an object": lambda storage: storage.has(REF),
    "read an object": lambda storage: storage.get_bytes(REF),
    "remove an object": lambda storage: storage.discard(REF),
    "write a note": lambda storage: storage.put_note("training-1", "spec", 1),
    "read a note": lambda storage: storage.get_note("training-1", "spec", int),
    "remove a note": lambda storage: storage.discard_note("training-1", "spec"),
    "remove notes": lambda storage: storage.discard_notes("training-1"),
}


def told(kind: type[MLTemporalError], call: Callable[[], object]) -> tuple[str, str]:
    """What is said, and the next step; neither it nor a traceback holds a secret."""
    with pytest.raises(kind) as caught:
        call()
    assert kind is caught.type
    printed = "".join(traceback.format_exception(caught.value))
    for secret in ("ADMINKEY", "admin-secret", "reader-secret", "token-of-mine", "Signature=abc"):
        assert secret not in printed
    return caught.value.what, caught.value.next_step


class Case(NamedTuple):
    """An environment, or a server's answer, and what is told of it."""

    given: Any
    reason: str
    next_step: str
    kind: type[MLTemporalError] = InvalidRequest


@pytest.mark.parametrize("doing", ["look for an object", "read an object", "remove notes"])
def test_a_wrong_secret_is_told_whatever_was_to_be_done(
    remote: Storage, monkeypatch: pytest.MonkeyPatch, doing: str
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    what = f"storage {remote.url!r} could not {doing}: the secret key does not belong to the access key"
    assert (what, KEYS) == told(InvalidRequest, lambda: OPERATIONS[doing](remote))


@pytest.mark.parametrize(
    "case",
    [
        Case(
            {"AWS_ACCESS_KEY_ID": "UNKNOWN"},
            "the server does not know the access key",
            f"{KEYS}, and AWS_ENDPOINT_URL",
        ),
        Case(
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SHARED_CREDENTIALS_FILE": "none"},
            "no keys were found",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, for the job and its worker",
        ),
        Case({"AWS_SECRET_ACCESS_KEY": ""}, "only one of the two keys was found", KEYS),
        Case(
            {"AWS_PROFILE": "nobody"},
            "the profile in AWS_PROFILE does not exist",
            "correct or unset AWS_PROFILE",
        ),
        Case({"AWS_REGION": "not a region"}, "the region's name is not valid", "correct AWS_REGION"),
        Case({"AWS_ENDPOINT_URL": "s3.example.com"}, *URL),
        Case({"AWS_ENDPOINT_URL": "localhost:9000"}, *URL),
        Case({"AWS_ENDPOINT_URL": "http://"}, *URL),
    ],
    ids=lambda case: " ".join(case.given),
)
def test_a_configuration_that_cannot_work_is_told(
    remote: Storage, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    for name, value in case.given.items():
        monkeypatch.setenv(name, value)
    what = f"storage {remote.url!r} could not look for a probe: {case.reason}"
    assert (what, case.next_step) == told(InvalidRequest, remote.check)


@pytest.mark.parametrize("doing", [doing for doing in OPERATIONS if "look" not in doing])
def test_a_missing_bucket_is_told(s3_url: str, doing: str) -> None:
    storage = Storage("s3://no-such-bucket/prefix")
    expected = (
        f"storage 's3://no-such-bucket/prefix' could not {doing}: there is no such bucket",
        "create it, or correct the bucket in the URI and AWS_ENDPOINT_URL",
    )
    assert expected == told(InvalidRequest, lambda: OPERATIONS[doing](storage))


@pytest.mark.parametrize("bucket", ["x", "Not_A_Name", "a b"])
def test_a_name_that_no_bucket_can_have_is_told(s3_url: str, bucket: str) -> None:
    url = f"s3://{bucket}/prefix"
    what, next_step = told(InvalidRequest, lambda: Storage(url).put_bytes(b"data"))
    assert what.startswith(f"storage {url!r} could not ")
    assert what.endswith(": the bucket's name is not valid")
    assert "use 3 to 63 lower-case letters, digits, '-' and '.': s3://bucket/prefix" == next_step


def test_keys_that_may_only_read_read_and_are_told_what_they_lack(
    remote: Storage, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = remote.put_bytes(b"data")
    for name, value in s3.environ("reader").items():
        monkeypatch.setenv(name, value)
    assert remote.get_bytes(ref) == b"data"
    what = f"storage {remote.url!r} could not"
    expected = (f"{what} write an object: permission denied", GRANT)
    assert expected == told(InvalidRequest, lambda: remote.put_bytes(b"other"))
    assert (f"{what} remove an object: permission denied", GRANT) == told(
        InvalidRequest, lambda: remote.discard(ref)
    )
    assert (f"{what} write a probe: permission denied", GRANT) == told(InvalidRequest, remote.check)


@pytest.mark.parametrize("identity", ["nobody", "writer"])
def test_keys_that_may_not_look_are_told_so(
    remote: Storage, s3: S3Server, monkeypatch: pytest.MonkeyPatch, identity: str
) -> None:
    for name, value in s3.environ(identity).items():
        monkeypatch.setenv(name, value)
    expected = (f"storage {remote.url!r} could not look for a probe: permission denied", GRANT)
    assert expected == told(InvalidRequest, remote.check)


def test_a_clock_that_is_wrong_is_told(remote: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    now = botocore.auth.get_current_datetime
    monkeypatch.setattr(
        botocore.auth, "get_current_datetime", lambda *args: now(*args) - datetime.timedelta(hours=2)
    )
    expected = (
        f"storage {remote.url!r} could not look for a probe: "
        "this machine's clock differs too much from the server's",
        "set the clock (for example: timedatectl set-ntp true)",
    )
    assert expected == told(ServiceUnavailable, remote.check)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_not_there_is_told(remote: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    expected = (
        f"storage {remote.url!r} could not look for a probe: "
        f"the server http://127.0.0.1:{port} cannot be reached",
        REACH,
    )
    assert expected == told(ServiceUnavailable, remote.check)


@pytest.mark.parametrize(
    "case",
    [
        Case((503, "SlowDown"), "the server is overloaded or failing", AGAIN, ServiceUnavailable),
        Case(
            (400, "ExpiredToken"),
            "the session token has expired",
            "renew the session (for example: aws sso login) or the AWS_SESSION_TOKEN",
            ServiceUnavailable,
        ),
        Case((400, "InvalidToken"), "the session token is not valid", f"{KEYS}, and AWS_SESSION_TOKEN"),
        Case(
            (507, "InsufficientStorage"),
            "the store is full",
            "make room, or raise the quota",
            ServiceUnavailable,
        ),
        Case(
            (400, "IllegalLocationConstraintException"),
            "the bucket is in another region",
            "set AWS_REGION to the bucket's region",
        ),
        Case((418, "Odd"), "the server says Odd: Words of the server.", "see what the server means"),
    ],
    ids=lambda case: case.given[1],
)
@pytest.mark.usefixtures("impatient")
def test_what_a_server_says_is_told_in_words(answering: Callable[[Answer], Storage], case: Case) -> None:
    status, code = case.given
    storage = answering(lambda *_: (status, error_body(code)))
    what = f"storage 's3://data/prefix' could not read an object: {case.reason}"
    assert (what, case.next_step) == told(case.kind, lambda: storage.get_bytes(REF))


def test_who_lacks_which_right_is_told_where_the_server_says_it(
    answering: Callable[[Answer], Storage],
) -> None:
    words = "User: arn:aws:iam::123:user/me is not authorized to perform: s3:GetObject on resource: x"
    storage = answering(lambda *_: (403, error_body("AccessDenied", words)))
    expected = (f"storage 's3://data/prefix' could not read an object: permission denied: {words}", GRANT)
    assert expected == told(InvalidRequest, lambda: storage.get_bytes(REF))


def test_secrets_in_a_servers_words_are_not_repeated(
    answering: Callable[[Answer], Storage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-mine")
    words = (
        "key ADMINKEY, other AKIAABCDEFGHIJKLMNOP, token-of-mine, "
        "http://me:you@host/x?X-Amz-Signature=abc&amp;X-Amz-Date=now"
    )
    storage = answering(lambda *_: (400, error_body("Odd", words)))
    expected = (
        "storage 's3://data/prefix' could not read an object: the server says Odd: "
        "key …, other …, …, http://host/x?X-Amz-Signature=…&X-Amz-Date=…",
        "see what the server means",
    )
    assert expected == told(InvalidRequest, lambda: storage.get_bytes(REF))


def test_keys_in_the_uri_are_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidRequest, match=r"the URI of the storage \(s3://…\) holds keys") as caught:
        Storage("s3://ADMINKEY:admin-secret@data/prefix")
    assert "admin-secret" not in str(caught.value)


def test_a_server_that_is_not_s3_is_told(answering: Callable[[Answer], Storage]) -> None:
    storage = answering(lambda *_: (404, b"<html>Not found</html>"))
    what = "storage 's3://data/prefix' could not write a probe: what answered is no S3 server"
    assert (what, "check AWS_ENDPOINT_URL") == told(ServiceUnavailable, storage.check)


def test_an_overloaded_server_is_given_time(answering: Callable[[Answer], Storage]) -> None:
    answers = iter([(503, error_body("SlowDown")), (500, error_body("InternalError")), (200, b"7")])
    storage = answering(lambda *_: next(answers))
    assert 7 == storage.get_note("training-1", "spec", int)


def test_renewed_keys_are_used_at_the_next_call(
    remote: Storage, s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As with a profile whose session is renewed while the notebook is open."""
    credentials = tmp_path / "credentials"
    admin = IDENTITIES["admin"]
    for secret in ("stale", admin.secret_key):
        credentials.write_text(
            f"[me]\naws_access_key_id = {admin.access_key}\naws_secret_access_key = {secret}\n"
        )
        if secret == "stale":
            monkeypatch.delenv("AWS_ACCESS_KEY_ID")
            monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
            monkeypatch.setenv("AWS_PROFILE", "me")
            monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
            with pytest.raises(InvalidRequest, match="the secret key does not belong"):
                remote.check()
    remote.check()
