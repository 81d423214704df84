"""What S3 and its client libraries raise, in plain words: why, what to do, and whether a retry helps."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from urllib.parse import urlsplit

from mltemporal.errors import MLTemporalError
from mltemporal.storage.places import PlaceError


class _Told(NamedTuple):
    reason: str
    next_step: str
    retryable: bool = False


_KEYS = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile in AWS_PROFILE"
_AGAIN = "nothing, if it passes; it was tried several times and will be again"
_REACH = "check AWS_ENDPOINT_URL, the network, and that the server runs"
_RENEW = "renew the session (for example: aws sso login) or the AWS_SESSION_TOKEN"

_UNKNOWN_KEY = _Told("the server does not know the access key", f"{_KEYS}, and AWS_ENDPOINT_URL")
_DENIED = _Told(
    "permission denied",
    "grant these keys s3:ListBucket on the bucket; s3:GetObject, s3:PutObject, s3:DeleteObject below it",
)
_EXPIRED = _Told("the session token has expired", _RENEW, retryable=True)
_BUSY = _Told("the server is overloaded or failing", _AGAIN, retryable=True)
_NO_BUCKET = _Told(
    "there is no such bucket", "create it, or correct the bucket in the URI and AWS_ENDPOINT_URL"
)
_BUCKET_NAME = _Told(
    "the bucket's name is not valid",
    "use 3 to 63 lower-case letters, digits, '-' and '.': s3://bucket/prefix",
)
_REGION = _Told("the bucket is in another region", "set AWS_REGION to the bucket's region")
_FULL = _Told("the store is full", "make room, or raise the quota", retryable=True)
_CHANGED = _Told("it was changed while it was read", "read it again when it stays as it is")
_SKEW = _Told(
    "this machine's clock differs too much from the server's",
    "set the clock (for example: timedatectl set-ntp true)",
    retryable=True,
)

_NOT_S3 = _Told("what answered is no S3 server", "check AWS_ENDPOINT_URL", retryable=True)

_NO_CODE = "a page for people"
_BY_CODE = {
    _NO_CODE: _NOT_S3,
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "AccountProblem": _DENIED,
    "403": _DENIED,
    "SignatureDoesNotMatch": _Told("the secret key does not belong to the access key", _KEYS),
    "InvalidAccessKeyId": _UNKNOWN_KEY,
    "InvalidToken": _Told("the session token is not valid", f"{_KEYS}, and AWS_SESSION_TOKEN"),
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "RequestExpired": _SKEW,
    "RequestTimeTooSkewed": _SKEW,
    "NoSuchBucket": _NO_BUCKET,
    "InvalidBucketName": _BUCKET_NAME,
    "PermanentRedirect": _REGION,
    "TemporaryRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "301": _REGION,
    "307": _REGION,
    "QuotaExceeded": _FULL,
    "InsufficientStorage": _FULL,
    "507": _FULL,
    "InvalidObjectState": _Told("the object is archived", "restore it from its storage class first"),
    "PreconditionFailed": _CHANGED,
    "412": _CHANGED,
    "SlowDown": _BUSY,
    "Throttling": _BUSY,
    "ThrottlingException": _BUSY,
    "RequestLimitExceeded": _BUSY,
    "ServiceUnavailable": _BUSY,
    "InternalError": _BUSY,
    "InternalFailure": _BUSY,
    "RequestTimeout": _BUSY,
    "OperationAborted": _BUSY,
    "IncompleteBody": _BUSY,
    "BadDigest": _BUSY,
    "500": _BUSY,
    "502": _BUSY,
    "503": _BUSY,
    "504": _BUSY,
}
"""By the code in S3's answer; a number is the HTTP status of an answer without a body."""

_BY_CLASS = {
    "NoCredentialsError": _Told(
        "no keys were found",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, for the job and its worker",
    ),
    "PartialCredentialsError": _Told("only one of the two keys was found", _KEYS),
    "CredentialRetrievalError": _Told("the keys could not be fetched", f"{_KEYS}, or the pod's role", True),
    "MetadataRetrievalError": _Told("the keys could not be fetched", f"{_KEYS}, or the pod's role", True),
    "TokenRetrievalError": _EXPIRED,
    "SSOTokenLoadError": _EXPIRED,
    "UnauthorizedSSOTokenError": _EXPIRED,
    "ProfileNotFound": _Told("the profile in AWS_PROFILE does not exist", "correct or unset AWS_PROFILE"),
    "ConfigParseError": _Told("the AWS configuration file cannot be read", "correct ~/.aws/config"),
    "InvalidRegionError": _Told("the region's name is not valid", "correct AWS_REGION"),
    "NoRegionError": _Told("no region was found", "set AWS_REGION"),
    "ParamValidationError": _BUCKET_NAME,
    "InvalidEndpointError": _Told(
        "AWS_ENDPOINT_URL is no URL of a server", "set it to a URL such as https://s3.example.com"
    ),
    "SSLError": _Told(
        "the server's certificate cannot be trusted", "set AWS_CA_BUNDLE to the file of its authority"
    ),
    "ResponseParserError": _NOT_S3,
    "ConnectTimeoutError": _Told("the server does not answer", _REACH, True),
    "ReadTimeoutError": _Told("the server does not answer", _REACH, True),
    "TimeoutError": _Told("the server does not answer", _REACH, True),
    "EndpointConnectionError": _Told("the server cannot be reached", _REACH, True),
    "ProxyConnectionError": _Told("the proxy cannot be reached", "check HTTPS_PROXY and NO_PROXY", True),
    "HTTPClientError": _Told("the connection broke off", _REACH, True),
    "ClientError": _Told("the connection broke off", _REACH, True),
    "ConnectionError": _Told("the connection broke off", _REACH, True),
    "ResponseStreamingError": _Told("the connection broke off", _REACH, True),
}
"""By the name of the exception's class, or of the nearest of its bases: the libraries load late."""

_LIBRARIES = ("botocore", "aiobotocore", "aiohttp", "s3fs", "fsspec", "asyncio")
_CONNECTION = (TimeoutError, ConnectionError)
_SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
_SIGNED = re.compile(r"(X-Amz-[A-Za-z-]+|AWSAccessKeyId|Signature)=[^&\s\"']+")
_ACCESS_KEY = re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{12,}\b")
_USER = re.compile(r"//[^/@\s]+@")


@contextmanager
def plainly() -> Iterator[None]:
    """Raise what the block's S3 calls raise as FileNotFoundError or `PlaceError`.

    What comes from elsewhere, a full local disk say, passes as it is.
    """
    try:
        yield
    except (PlaceError, MLTemporalError):
        raise
    except Exception as error:
        code, message = answer_of(error)
        if code in ("NoSuchKey", "404"):
            raise FileNotFoundError(errno.ENOENT, "there is no such object") from None
        told = _by_code(code, message) if code else _by_class(error)
        if told is None:
            raise
        # Without its cause: what libraries and servers say may hold a key, and tracebacks are recorded.
        raise PlaceError(told.reason, told.next_step, retryable=told.retryable) from None


def answer_of(error: BaseException) -> tuple[str, str]:
    """Return code and message of the server's answer behind ``error``; empty where it gave none."""
    at: BaseException | None = error
    while at is not None:
        answer = getattr(at, "response", None)
        if isinstance(answer, dict) and "Error" in answer:
            return str(answer["Error"].get("Code") or _NO_CODE), str(answer["Error"].get("Message", ""))
        at = at.__cause__
    return "", ""


def _by_code(code: str, message: str) -> _Told:
    told = _BY_CODE.get(code)
    if told is None:
        said = _harmless(f"the server says {code}: {message}")
        return _Told(said, "see what the server means", code.isdecimal() and int(code) >= 500)
    if told is _DENIED and " is not authorized " in message:  # AWS names who lacks which right
        return told._replace(reason=f"{told.reason}: {_harmless(message)}")
    return told


def _by_class(error: Exception) -> _Told | None:
    if type(error).__module__.split(".")[0] not in _LIBRARIES and not isinstance(error, _CONNECTION):
        return None
    names = (kind.__name__ for kind in type(error).__mro__)
    told = next((_BY_CLASS[name] for name in names if name in _BY_CLASS), None)
    if told is None:
        known = isinstance(error, OSError)
        return None if known else _Told(_harmless(str(error)), "check the AWS configuration")
    if server := _server_of(error):
        return told._replace(reason=told.reason.replace("the server", f"the server {server}", 1))
    return told


def _server_of(error: Exception) -> str:
    """Return scheme, host and port of the request that failed, if its error names them."""
    url = urlsplit(str(getattr(error, "kwargs", {}).get("endpoint_url", "")))
    return f"{url.scheme}://{url.hostname}" + (f":{url.port}" if url.port else "") if url.hostname else ""


def _harmless(text: str) -> str:
    """Return ``text`` without keys, signatures and passwords."""
    for name in _SECRET_VARIABLES:
        if value := os.environ.get(name):
            text = text.replace(value, "…")
    return _USER.sub("//", _ACCESS_KEY.sub("…", _SIGNED.sub(r"\1=…", text)))
