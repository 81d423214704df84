"""Why a store could not do something, as an error of ours: once, for all that is kept in places."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mltemporal.errors import InvalidRequest, ServiceUnavailable
from mltemporal.storage.places import PlaceError


@contextmanager
def told(what: str, *, passing: type[OSError] | tuple[()] = ()) -> Iterator[None]:
    """Translate the store's errors in the block; those of the type ``passing`` the caller knows better.

    Raises:
        ServiceUnavailable: the store does not answer or is full; opens with ``what``.
        InvalidRequest: the store refuses, and trying again does not help; opens with ``what``.
    """
    try:
        yield
    except passing:
        raise
    except PlaceError as error:
        kind = ServiceUnavailable if error.retryable else InvalidRequest
        raise kind(f"{what}: {error}", error.next_step) from error
    except OSError as error:
        raise ServiceUnavailable(
            f"{what}: {error}", "check free space, permissions and that the store can be reached"
        ) from error
