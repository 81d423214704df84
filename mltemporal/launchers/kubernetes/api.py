"""The few calls of the Kubernetes API that we make, as plain JSON, over the official asyncio client.

The client reads the configuration (kubeconfig or a pod's service account), keeps tokens fresh and
speaks TLS. Its generated models are left out: they refuse what a newer server adds.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from mltemporal.errors import InvalidRequest, MLTemporalError, NotFound, ServiceUnavailable
from mltemporal.launchers.kubernetes.lines import lines
from mltemporal.settings import ClusterSettings

Json = dict[str, Any]

log = logging.getLogger("mltemporal.kubernetes")

_ANSWER_S = 30.0
_CONNECT_S = 10.0


class Conflict(InvalidRequest):
    """An object of that name exists, or was changed meanwhile (409)."""


class Gone(ServiceUnavailable):
    """The version to watch from is too old: list again (410)."""


class Forbidden(InvalidRequest):
    """The cluster knows who asks, and does not let them (403)."""


class Api:
    """One cluster and namespace; belongs to the event loop that opened it.

    Every method may raise `ServiceUnavailable` (no answer, too busy, credentials not accepted),
    `Forbidden`, `NotFound`, `Conflict` and `InvalidRequest` (what was sent is wrong).
    """

    def __init__(self, client: Any, namespace: str, settings: ClusterSettings) -> None:
        self._client = client
        self.namespace = namespace
        self._settings = settings
        self._renewing = asyncio.Lock()

    @classmethod
    async def open(cls, settings: ClusterSettings) -> Api:
        """Read the configuration; connects only when something is asked.

        Raises:
            InvalidRequest: the client is not installed, or there is no usable configuration.
        """
        try:
            from kubernetes.aio.client import ApiClient, Configuration
        except ImportError as error:
            raise InvalidRequest(
                f"the Kubernetes client is not installed: {error}", "pip install 'mltemporal[kubernetes]'"
            ) from error
        configuration = Configuration()
        namespace = await _configure(configuration, settings)
        configuration.connection_pool_maxsize = 0  # a connection for each followed log
        return cls(ApiClient(configuration), settings.namespace or namespace, settings)

    async def close(self) -> None:
        """Give back the connections."""
        await self._client.close()

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self._client.configuration.host)

    def path(self, resource: str, name: str = "", *, sub: str = "") -> str:
        """Return the path of a namespaced resource, e.g. ``jobs``, of one object or its subresource."""
        group = "/apis/batch/v1" if resource == "jobs" else "/api/v1"
        return "/".join(part for part in (group, "namespaces", self.namespace, resource, name, sub) if part)

    async def get(self, path: str, **query: Any) -> Json:
        """Read an object or a list."""
        return await self._ask("GET", path, query)

    async def metadata(self, path: str) -> Json:
        """Read an object's metadata alone: of a Secret, nothing that it holds is sent."""
        accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
        return await self._ask("GET", path, {}, headers={"Accept": accept})

    async def create(self, path: str, body: Json, **query: Any) -> Json:
        """Create an object."""
        return await self._ask("POST", path, query, body)

    async def rehearse(self, path: str, body: Json, **query: Any) -> list[str]:
        """Have the server check an object as if it were created; return what it warns of."""
        response, _ = await self._exchange("POST", path, {**query, "dryRun": "All"}, body)
        return [_warning(header) for header in response.headers.getall("Warning", [])]

    async def patch(self, path: str, body: Json) -> Json:
        """Change an object by a JSON merge patch."""
        return await self._ask("PATCH", path, {}, body, {"Content-Type": "application/merge-patch+json"})

    async def delete(self, path: str, **options: Any) -> None:
        """Delete an object with these ``DeleteOptions``; one that is gone is fine."""
        with suppress(NotFound):
            await self._ask("DELETE", path, {}, {"kind": "DeleteOptions", "apiVersion": "v1", **options})

    @asynccontextmanager
    async def stream(
        self, path: str, *, silence_s: float | None = None, piece_bytes: int | None = None, **query: Any
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Give the `lines` of a long answer (a watch, a followed log) as they come.

        A connection on which nothing comes for ``silence_s`` seconds counts as lost.
        """
        from aiohttp import ClientTimeout

        limits = ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=silence_s)
        with _translated(self.server):
            response = await self._send("GET", path, query, limits=limits)
            try:
                if response.status >= 300:
                    raise _refusal(response.status, await response.read(), path)
                yield lines(response.content.iter_any(), piece_bytes)
            finally:
                response.close()

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        _, data = await self._exchange(method, path, query, body, headers)
        try:
            answer: Json = json.loads(data) if data else {}
        except ValueError as error:
            raise ServiceUnavailable(
                f"{self.server!r} answers with something else than JSON: {data[:80]!r}",
                "look at what stands between here and the API server: `kubectl get jobs -v=8`",
            ) from error
        return answer

    async def _exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Any, bytes]:
        with _translated(self.server):
            response = await self._send(method, path, query, body, headers, limits=_ANSWER_S)
            async with response:
                data: bytes = await response.read()
        if response.status >= 300:
            raise _refusal(response.status, data, path)
        return response, data

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        limits: Any,
    ) -> Any:
        parameters = [(name, _text(value)) for name, value in query.items() if value is not None]
        usual = {"Accept": "application/json, */*", "Content-Type": "application/json"}

        async def send() -> Any:
            return await self._client.call_api(
                path,
                method,
                query_params=parameters,
                body=body,
                header_params={**usual, **(headers or {})},
                auth_settings=["BearerToken"],
                _preload_content=False,
                _request_timeout=limits,
            )

        token = self._token
        response = await send()
        if response.status == 401 and await self._renewed(token):
            response.close()
            response = await send()
        return response

    @property
    def _token(self) -> str | None:
        token: str | None = self._client.configuration.api_key.get("BearerToken")
        return token

    async def _renewed(self, old: str | None) -> bool:
        """Read the configuration again, which makes a token anew; return whether it is another than ``old``.

        The client does so once, when it reads a kubeconfig. But the tokens of a cloud's log-in program
        live for minutes, and a person who logs in again writes the file anew.
        """
        async with self._renewing:
            if self._token == old:
                try:
                    await _configure(self._client.configuration, self._settings)
                except InvalidRequest as error:
                    log.warning("%s", error)
        return self._token != old


async def _configure(configuration: Any, settings: ClusterSettings) -> str:
    """Fill the configuration from a kubeconfig, or as a pod does; return its namespace."""
    from kubernetes.aio.config import ConfigException, load_kube_config
    from kubernetes.aio.config.incluster_config import SERVICE_TOKEN_FILENAME, load_incluster_config
    from kubernetes.aio.config.kube_config import list_kube_config_contexts
    from yaml import YAMLError

    kubeconfig, found = await asyncio.to_thread(_kubeconfig)
    in_pod = await asyncio.to_thread(os.path.exists, SERVICE_TOKEN_FILENAME)
    as_pod = in_pod and settings.context is None and not os.environ.get("KUBECONFIG")
    if not as_pod and not found:
        raise _no_access(kubeconfig, "there is no such file")
    try:
        if as_pod:
            load_incluster_config(client_configuration=configuration)
            namespace = Path(SERVICE_TOKEN_FILENAME).with_name("namespace")
            return (await asyncio.to_thread(namespace.read_text)).strip()
        await load_kube_config(kubeconfig, settings.context, client_configuration=configuration)
        contexts, active = list_kube_config_contexts(kubeconfig)
        chosen = next((each for each in contexts if each["name"] == settings.context), active)
        return str(chosen["context"].get("namespace") or "default")
    except (ConfigException, YAMLError, OSError, ValueError) as error:  # the file, its certificates
        raise _no_access(kubeconfig, str(error)) from error


def _kubeconfig() -> tuple[str, bool]:
    """Return the path of the kubeconfig (or paths, as kubectl takes them), and whether there is one.

    The client reads the variable when it is imported; a profile may set it later.
    """
    paths = os.environ.get("KUBECONFIG") or os.path.expanduser("~/.kube/config")
    return paths, any(os.path.exists(os.path.expanduser(path)) for path in paths.split(os.pathsep) if path)


def _no_access(kubeconfig: str, why: str) -> InvalidRequest:
    return InvalidRequest(
        f"there is no usable access to a cluster by {kubeconfig!r}: {why}",
        "point KUBECONFIG at a kubeconfig, and MLTEMPORAL_KUBERNETES_CONTEXT at one of its contexts where it "
        "has several",
    )


def _warning(header: str) -> str:
    """Return the text of ``299 - "text"`` (RFC 7234, 5.5)."""
    return header.partition('"')[2].rpartition('"')[0].replace('\\"', '"') or header


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextmanager
def _translated(server: str) -> Iterator[None]:
    """Translate what the connection raises, once, here."""
    from aiohttp import ClientError

    try:
        yield
    except MLTemporalError:
        raise
    except (ClientError, OSError, asyncio.IncompleteReadError) as error:
        raise ServiceUnavailable(
            f"the cluster at {server!r} does not answer: {error or type(error).__name__}",
            "check that it runs and can be reached from here: `kubectl version`",
        ) from error


def _refusal(status: int, data: bytes, path: str) -> MLTemporalError:
    """Turn the API server's ``Status`` into an error of ours."""
    try:
        said = json.loads(data)
        message = str(said.get("message") or said)
    except ValueError:
        message = data.decode(errors="replace")[:500]
    if status == 403 and "exceeded quota" in message:
        status = _QUOTA
    elif status >= 500:
        status = 429
    kind, what, next_step = _REFUSALS.get(
        status, (InvalidRequest, "the cluster refuses", "correct what it names")
    )
    return kind(f"{what}: {message}", f"{next_step} ({path})" if status == 404 else next_step)


_QUOTA = -1
_REFUSALS: dict[int, tuple[type[MLTemporalError], str, str]] = {
    401: (
        ServiceUnavailable,
        "the cluster does not accept the credentials",
        "renew them: log in again, or update the kubeconfig or the service account's token",
    ),
    403: (
        Forbidden,
        "the cluster does not allow it",
        "give the service account the Role in deploy/, or use another namespace",
    ),
    _QUOTA: (ServiceUnavailable, "the namespace's quota is used up", "wait, or ask for a larger quota"),
    404: (NotFound, "the cluster has none", "check the name and the namespace"),
    409: (Conflict, "the cluster has one already", "look at it with kubectl"),
    410: (Gone, "too old", "list again"),
    429: (ServiceUnavailable, "the cluster is busy or ill", "it is tried again"),
}
