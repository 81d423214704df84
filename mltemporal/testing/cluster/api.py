"""The API server: HTTP requests to the store, and its answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from aiohttp import web

from mltemporal.testing.cluster import (
    admission,
    deletion,
    disruptions,
    patches,
    pod_logs,
    resources,
    statuses,
    watching,
)
from mltemporal.testing.cluster.control_plane import ControlPlane
from mltemporal.testing.cluster.lists import Lists, wanted
from mltemporal.testing.cluster.requests import Request, read
from mltemporal.testing.cluster.statuses import ApiError
from mltemporal.testing.cluster.store import Object, key_of

USER = "stand-in"
_BODY_LIMIT = 3 * 2**20


class Api:
    """One handler for all paths: who asks, may they, what for."""

    def __init__(self, plane: ControlPlane, token: str) -> None:
        self._plane = plane
        self._store = plane.store
        self._token = token
        self.lists = Lists(plane.store)

    def application(self) -> web.Application:
        """Return the web application."""
        app = web.Application(client_max_size=_BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    async def _handle(self, http: web.Request) -> web.StreamResponse:
        try:
            return await self._answer(http)
        except web.HTTPRequestEntityTooLarge:
            error = ApiError(
                413, "RequestEntityTooLarge", f"Request entity too large: limit is {_BODY_LIMIT}"
            )
            return _json(error.body(), 413)
        except ApiError as error:
            headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s is not None else {}
            return _json(error.body(), error.code, headers)

    async def _answer(self, http: web.Request) -> web.StreamResponse:
        path = http.match_info["path"].rstrip("/")
        if path in ("healthz", "livez", "readyz"):
            return web.Response(text="ok")
        first, _, rest = path.partition("/")
        if first == self._token:
            path = rest
        elif http.headers.get("Authorization") != f"Bearer {self._token}":
            raise statuses.unauthorized()
        document = resources.discovery(path)
        if document is not None:
            return _json(document)
        request = read(http.method, path, http.query)
        faults = self._plane.faults
        faults.counts[request.verb, request.target] += 1
        await faults.wait()
        faults.fail()
        self._authorize(request)
        if request.verb == "watch":
            return await self._watch(http, request)
        if request.subresource == "log":
            return await self._log(http, request)
        body = await http.read()
        code, answer = self._dispatch(request, http.query, http.content_type, body)
        if faults.loses(request.verb, request.target) and http.transport is not None:
            http.transport.abort()
        return _json(answer, code)

    def _authorize(self, request: Request) -> None:
        if self._plane.faults.allowed(request.verb, request.target, request.namespace):
            return
        place = f' in the namespace "{request.namespace}"' if request.namespace else " at the cluster scope"
        group = request.resource.group
        why = f'User "{USER}" cannot {request.verb} resource "{request.target}" in API group "{group}"{place}'
        raise statuses.forbidden(request.resource, request.name, why)

    # Requests that are answered at once

    def _dispatch(
        self, request: Request, query: Mapping[str, str], content_type: str, raw: bytes
    ) -> tuple[int, Object]:
        plural, key = request.resource.plural, (request.namespace, request.name)
        dry_run = query.get("dryRun") == "All"
        if request.verb == "list":
            return 200, self.lists.page(request, query)
        if request.verb == "get":
            return 200, self._store.get(plural, *key)
        body = _parsed(raw)
        if request.verb in ("delete", "deletecollection"):
            options = _delete_options(body, query)
            if request.verb == "delete":
                return 200, self._delete(request, options)
            return 200, self._delete_all(request, query, options)
        if request.verb == "create":
            return self._create(request, body, dry_run=dry_run)
        old = self._store.get(plural, *key)
        if request.verb == "patch":
            body = patches.patched(content_type, old, body)
        status = request.subresource == "status"
        return 200, admission.update(self._store, plural, old, body, status=status, dry_run=dry_run)

    def _create(self, request: Request, body: Any, *, dry_run: bool) -> tuple[int, Object]:
        plural, namespace = request.resource.plural, request.namespace
        if plural == "selfsubjectaccessreviews":
            return 201, self._review(body)
        if request.subresource == "eviction":
            pod = self._store.get("pods", namespace, request.name)
            if not dry_run:
                disruptions.evict_by_api(self._store, pod, (body or {}).get("deleteOptions") or {})
            return 201, _success()
        if request.subresource:
            raise statuses.no_such_path()
        return 201, admission.create(self._store, plural, namespace, body, dry_run=dry_run)

    def _review(self, body: Any) -> Object:
        wanted_ = body.get("spec", {}).get("resourceAttributes") or {}
        target = wanted_.get("resource", "")
        if wanted_.get("subresource"):
            target += f"/{wanted_['subresource']}"
        allowed = self._plane.faults.allowed(wanted_.get("verb", ""), target, wanted_.get("namespace", ""))
        return {
            "kind": "SelfSubjectAccessReview",
            "apiVersion": "authorization.k8s.io/v1",
            "metadata": {"creationTimestamp": None},
            "spec": body.get("spec", {}),
            "status": {"allowed": allowed},
        }

    def _delete(self, request: Request, options: dict[str, Any]) -> Object:
        plural, key = request.resource.plural, (request.namespace, request.name)
        uid = self._store.get(plural, *key)["metadata"]["uid"]
        left = deletion.delete(self._store, plural, key, options)
        return left if left is not None else _success(request, uid)

    def _delete_all(self, request: Request, query: Mapping[str, str], options: dict[str, Any]) -> Object:
        matches = wanted(request, query)
        items = [
            body for body in self._store.all(request.resource.plural, request.namespace) if matches(body)
        ]
        for body in items:
            deletion.delete(self._store, request.resource.plural, key_of(body), options)
        kind = request.resource
        meta = {"resourceVersion": str(self._store.revision)}
        return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": meta, "items": items}

    # Streams

    async def _watch(self, http: web.Request, request: Request) -> web.StreamResponse:
        query = http.query
        revision = query.get("resourceVersion", "")
        if revision and not revision.isdigit():
            raise statuses.bad_request(f'Invalid value: "{revision}": strconv.ParseUint: invalid syntax')
        watch = watching.Watch(
            resource=request.resource.plural,
            namespace=request.namespace,
            matches=wanted(request, query),
            revision=revision,
            bookmarks=query.get("allowWatchBookmarks") in ("true", "True", "1"),
            initial_events=query.get("sendInitialEvents") in ("true", "True", "1"),
            timeout_s=float(query.get("timeoutSeconds") or 3600),
        )
        lines = watching.stream(self._store, watch, self._plane.settings.bookmark_s)
        return await self._stream(http, "application/json", lines)

    async def _log(self, http: web.Request, request: Request) -> web.StreamResponse:
        pod = self._store.get("pods", request.namespace, request.name)
        query = pod_logs.read_query(http.query)
        log = pod_logs.find(self._plane.kubelet, pod, query)
        return await self._stream(http, "text/plain", pod_logs.stream(log, query))

    async def _stream(self, http: web.Request, kind: str, parts: AsyncIterator[bytes]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": kind, "Cache-Control": "no-cache, private"})
        response.enable_chunked_encoding()
        await response.prepare(http)
        transport = http.transport
        streams = self._plane.faults.streams
        if transport is None:
            return response
        streams.add(transport)
        try:
            async for part in parts:
                await response.write(part)
            await response.write_eof()
        except ConnectionError:
            pass  # the client is gone, or the stream was cut: there is nobody to tell
        finally:
            streams.discard(transport)
            await parts.aclose()  # type: ignore[attr-defined]
        return response


def _json(body: Object, code: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    text = json.dumps(body, separators=(",", ":"))
    return web.Response(text=text, status=code, content_type="application/json", headers=headers)


def _parsed(raw: bytes) -> Any:
    if not raw:
        return None
    try:
        return json.loads(raw)
    except ValueError as error:
        if raw.startswith(b"k8s\0"):  # protobuf
            text = "the body of the request was in an unknown format - accepted media types include: "
            raise ApiError(415, "UnsupportedMediaType", f"{text}application/json") from error
        raise statuses.bad_request(f"the body of the request was in an unknown format: {error}") from error


def _delete_options(body: Any, query: Mapping[str, str]) -> dict[str, Any]:
    options: dict[str, Any] = dict(body or {})
    for name in ("propagationPolicy", "dryRun"):
        if query.get(name):
            options[name] = query[name]
    if query.get("gracePeriodSeconds"):
        options["gracePeriodSeconds"] = int(query["gracePeriodSeconds"])
    return options


def _success(request: Request | None = None, uid: str = "") -> Object:
    body: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    if request is not None:
        group = {"group": request.resource.group} if request.resource.group else {}
        body["details"] = {"name": request.name, **group, "kind": request.resource.plural, "uid": uid}
    else:
        body["code"] = 201
    return body
