"""One pod on its node: volumes, init containers, containers, and their end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from typing import Any

from mltemporal.testing.cluster import environment, images, volumes
from mltemporal.testing.cluster.container_start import not_started
from mltemporal.testing.cluster.host import Host
from mltemporal.testing.cluster.logs import Log
from mltemporal.testing.cluster.pod_status import Containers, running, terminated, waiting
from mltemporal.testing.cluster.processes import Running
from mltemporal.testing.cluster.store import Object


class PodRunner:
    """Runs one pod from the moment it was bound until it has ended."""

    def __init__(self, host: Host, pod: Object) -> None:
        self.pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self.containers = Containers(pod)
        self.logs: dict[str, Log] = {}
        self.previous_logs: dict[str, Log] = {}
        self.running: dict[str, Running] = {}
        self.ending = False
        """No container runs, and none will."""
        self._host = host
        self._stop = asyncio.Event()
        self._directory = os.path.join(host.directory, "pods", self.uid)
        self._places: dict[str, str] = {}
        self._variables: dict[str, dict[str, str]] = {}
        self._killer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Run all containers; returns when the last one has ended and everything was reported."""
        spec = self.pod["spec"]
        real = self._host.settings.run == "process"
        try:
            self._publish()
            if not real or await self._mount():
                for container in spec.get("initContainers") or ():
                    await self._container(
                        container, restart=spec["restartPolicy"] != "Never", on_success=False
                    )
                    if self.containers.exit_codes([container["name"]]) != [0]:
                        break
                else:
                    await self._main()
        finally:
            for process in self.running.values():
                process.send(signal.SIGKILL)
            if self._killer is not None:
                self._killer.cancel()
            if real:
                shutil.rmtree(self._directory, ignore_errors=True)
        self.containers.lose_unstarted()
        self.ending = True
        self._publish()

    async def _main(self) -> None:
        policy = self.pod["spec"]["restartPolicy"]
        for name in self.containers.main:
            self.containers.put(name, waiting("ContainerCreating"))
        async with asyncio.TaskGroup() as group:
            for container in self.pod["spec"]["containers"]:
                group.create_task(
                    self._container(container, restart=policy != "Never", on_success=policy == "Always")
                )

    def stop(self, grace_s: float) -> None:
        """Ask all containers to end; kill them after ``grace_s``. A second call can only shorten the time."""
        if not self._stop.is_set():
            self._stop.set()
            for name, process in self.running.items():
                self._host.tell(self.pod, "Normal", "Killing", f"Stopping container {name}")
                process.send(signal.SIGTERM)
        if self._killer is not None:
            self._killer.cancel()
        self._killer = asyncio.get_running_loop().call_later(grace_s, self.kill)

    def kill(self) -> None:
        """End all containers now."""
        self._stop.set()
        for process in self.running.values():
            process.send(signal.SIGKILL)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):  # see `watching`
                await self._stop.wait()

    async def _mount(self) -> bool:
        os.makedirs(self._directory, exist_ok=True)
        while not self._stop.is_set():
            try:
                claims = os.path.join(self._host.directory, "claims")
                self._places = volumes.set_up(self._host.store, self.pod, self._directory, claims)
                return True
            except volumes.NotMountable as error:
                self._host.tell(self.pod, "Warning", "FailedMount", str(error))
                await self._pause(self._host.settings.config_retry_s)
        return False

    # One container

    async def _container(self, container: Object, *, restart: bool, on_success: bool) -> None:
        name = container["name"]
        backoff_s = self._host.settings.crash_backoff_s
        while True:
            ready = await self._until(self._image_ready, container) and await self._until(
                self._configured, container
            )
            if not ready:
                return
            code = await self._run_once(container)
            again = restart and (code != 0 or on_success)
            if not again or self._stop.is_set():
                return
            self.containers.restart(name)
            place = f"{self.pod['metadata']['name']}_{self.pod['metadata']['namespace']}({self.uid})"
            text = f"back-off {backoff_s:g}s restarting failed container={name} pod={place}"
            self._put(name, waiting("CrashLoopBackOff", text))
            self._host.tell(
                self.pod, "Warning", "BackOff", f"Back-off restarting failed container {name} in pod {place}"
            )
            await self._pause(backoff_s)
            backoff_s = min(300, backoff_s * 2)
            if self._stop.is_set():
                self.containers.put(name, self.containers.by_name[name]["lastState"])
                return

    async def _until(self, step: Callable[[Object], Awaitable[bool]], container: Object) -> bool:
        while not self._stop.is_set():
            if await step(container):
                return not self._stop.is_set()
        return False

    async def _image_ready(self, container: Object) -> bool:
        image, name = container["image"], container["name"]
        full = images.normalized(image)
        wait_s = self._host.settings.pull_backoff_s
        known = full is not None and full in {images.normalized(one) for one in self._host.images}
        if known and image not in self._host.image_errors:
            self._host.tell(
                self.pod, "Normal", "Pulled", f'Container image "{image}" already present on machine'
            )
            return True
        if full is None:
            text = images.malformed(image)
            self._put(name, waiting("InvalidImageName", text))
            self._host.tell(self.pod, "Warning", "InspectFailed", text)
            self._host.tell(self.pod, "Warning", "Failed", "Error: InvalidImageName")
        elif container.get("imagePullPolicy") == "Never":
            self._put(name, waiting("ErrImageNeverPull", images.never(image)))
            self._host.tell(self.pod, "Warning", "ErrImageNeverPull", images.never(image))
        else:
            error = self._host.image_errors.get(image) or images.not_found(image)
            self._host.tell(self.pod, "Normal", "Pulling", f'Pulling image "{image}"')
            self._host.tell(self.pod, "Warning", "Failed", f'Failed to pull image "{image}": {error}')
            self._host.tell(self.pod, "Warning", "Failed", "Error: ErrImagePull")
            self._put(name, waiting("ErrImagePull", error))
            await self._pause(wait_s / 2)
            if self._stop.is_set():
                return False
            self._put(name, waiting("ImagePullBackOff", images.back_off(image, error)))
            self._host.tell(self.pod, "Normal", "BackOff", f'Back-off pulling image "{image}"')
            self._host.tell(self.pod, "Warning", "Failed", "Error: ImagePullBackOff")
            wait_s /= 2
        await self._pause(wait_s)
        return False

    async def _configured(self, container: Object) -> bool:
        try:
            variables = environment.resolve(self._host.store, self._now(), container)
            self._variables[container["name"]] = variables
            return True
        except environment.ConfigError as error:
            self._put(container["name"], waiting("CreateContainerConfigError", str(error)))
            self._host.tell(self.pod, "Warning", "Failed", f"Error: {error}")
            await self._pause(self._host.settings.config_retry_s)
            return False

    def _now(self) -> Object:
        """Return the pod as the store has it now, with its address."""
        found = self._host.store.by_uid(self.uid)
        return found[1] if found is not None else self.pod

    async def _run_once(self, container: Object) -> int:
        name = container["name"]
        log = Log(self._host.settings.log_bytes)
        if name in self.logs:
            self.previous_logs[name] = self.logs[name]
        self.logs[name] = log
        container_id = f"containerd://{os.urandom(32).hex()}"
        self.containers.by_name[name].update(
            containerID=container_id, imageID=f"sha256:{os.urandom(32).hex()}"
        )
        try:
            process = self._host.starter.start(
                self.pod, container, self._variables[name], self._directory, self._places, log
            )
        except OSError as error:
            log.end()
            text = not_started(error)
            self._put(name, terminated(128, "1970-01-01T00:00:00Z", "StartError", text, container_id))
            self._host.tell(self.pod, "Warning", "Failed", f"Error: {text}")
            return 128
        self.running[name] = process
        self._host.tell(self.pod, "Normal", "Created", f"Created container: {name}")
        self._host.tell(self.pod, "Normal", "Started", f"Started container {name}")
        state = running()
        self._put(name, state)
        code = await process.wait()
        del self.running[name]
        message = ""
        if code and container.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            message = log.tail_text()
        reason = "OOMKilled" if process.out_of_memory else ""
        self._put(name, terminated(code, state["running"]["startedAt"], reason, message, container_id))
        return code

    def _publish(self) -> None:
        self._host.publish(self.uid, self.containers, ending=self.ending)

    def _put(self, name: str, state: dict[str, Any]) -> None:
        self.containers.put(name, state)
        self._publish()
