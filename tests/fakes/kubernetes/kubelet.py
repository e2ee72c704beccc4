"""A kubelet that starts what pods are made of: processes of this machine, each in a pid namespace of its own
where that may be made, so that what is in one pod cannot see what is in another."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.fakes.kubernetes.server import KubernetesDouble
from tests.fakes.kubernetes.state import Object, stamp

#: The image of what is started here; others are taken to run, and these cannot be pulled.
IMAGE, NOWHERE = "sloguard:test", "registry.invalid/sloguard:none"
_PULLING = "Back-off pulling image"


@cache
def _isolating() -> tuple[str, ...]:
    """What a command is put behind so that it is alone; nothing where that may not be done."""
    for more in ((), ("--user", "--map-root-user")):
        words = ("unshare", *more, "--pid", "--fork", "--kill-child", "--mount-proc", "--uts")
        with contextlib.suppress(OSError):
            if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
                return words
    return ()


class _Started:
    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self.log = process, log
        self.asked: float | None = None
        self.killed = False

    def send(self, number: int) -> None:
        """To the process itself, not to what it was put behind."""
        for pid in self._inner():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _inner(self) -> list[int]:
        if not _isolating():
            return [self.process.pid]
        place = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with contextlib.suppress(OSError):
            return [int(pid) for pid in place.read_text().split()]
        return []


class Kubelet:
    """Of every node of a double. ``environ``: what processes have beside the variables of their containers.

    ``with`` starts and stops it; what it has started is killed then.
    """

    def __init__(self, double: KubernetesDouble, folder: Path, environ: Mapping[str, str]) -> None:
        self._double, self._folder, self._environ = double, folder, dict(environ)
        self._started: dict[str, _Started] = {}
        self._dead: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        #: Errors of its own; a test that ends well has none.
        self.problems: list[str] = []

    def __enter__(self) -> Kubelet:
        self._double.controllers.starts = self._double.controllers.ends = False
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20.0)
        for one in self._started.values():
            one.send(signal.SIGKILL)
            one.process.kill()
            one.process.wait()

    def kill(self, pod: str) -> None:
        """What happens where memory runs out: the process of a pod is gone, at once."""
        one = self._of(pod)
        one.killed = True
        one.send(signal.SIGKILL)

    def lose(self, node: str) -> None:
        """A machine burns down: its processes are gone, and its kubelet tells nobody of it."""
        with self._double.state.lock:
            pods = [p for p in self._double.state.all("Pod") if p["spec"].get("nodeName") == node]
            self._dead.add(node)
        for pod in pods:
            if pod["metadata"]["uid"] in self._started:
                self._started[pod["metadata"]["uid"]].send(signal.SIGKILL)

    def said(self) -> str:
        """Everything that the processes have printed."""
        files = sorted(self._folder.glob("*.log"))
        return "\n".join(f"--- {file.name}\n{file.read_text('utf-8')}" for file in files)

    def _of(self, name: str) -> _Started:
        with self._double.state.lock:
            pod = next(p for p in self._double.state.all("Pod") if p["metadata"]["name"] == name)
        return self._started[pod["metadata"]["uid"]]

    def _work(self) -> None:
        while not self._stop.wait(0.1):
            try:
                with self._double.state.lock:
                    for pod in self._double.state.all("Pod"):
                        if pod["spec"].get("nodeName") not in self._dead:
                            self._see(pod)
                    # Deadlines pass though nothing changes.
                    self._double.controllers.step()
            except Exception as error:  # noqa: BLE001 - told by the test
                self.problems.append(repr(error))

    def _see(self, pod: Object) -> None:
        uid, phase = pod["metadata"]["uid"], pod["status"].get("phase")
        going, one = pod["metadata"].get("deletionTimestamp"), self._started.get(uid)
        if (
            one is not None
            and one.process.poll() is not None
            and phase not in ("Succeeded", "Failed")
        ):
            self._ended(pod, one)
        elif going:
            self._end(pod, one)
        elif phase == "Pending" and pod["spec"].get("nodeName") and one is None:
            self._start(pod)

    def _start(self, pod: Object) -> None:
        container = pod["spec"]["containers"][0]
        if container["image"] == NOWHERE:
            waiting = {"reason": "ImagePullBackOff", "message": f'{_PULLING} "{NOWHERE}"'}
            state = {"name": container["name"], "state": {"waiting": waiting}, "ready": False}
            self._put(pod, {**pod["status"], "containerStatuses": [state]})
            return
        if container["image"] == IMAGE:
            self._started[pod["metadata"]["uid"]] = self._run(pod, container)
        self._put(pod, self._double.controllers._running(pod))

    def _run(self, pod: Object, container: Object) -> _Started:
        name, about = pod["metadata"]["name"], pod["metadata"]
        environ = dict(self._environ)
        for entry in container.get("env") or []:
            path = ((entry.get("valueFrom") or {}).get("fieldRef") or {}).get("fieldPath")
            value = about[path.partition(".")[2]] if path else entry.get("value", "")
            environ[entry["name"]] = value
        command = [sys.executable, "-m", "sloguard", *container["args"]]
        if _isolating():
            command = [*_isolating(), "sh", "-c", 'hostname "$0"; exec "$@"', name, *command]
        log = self._folder / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                env=environ,
                start_new_session=True,
            )
        return _Started(process, log)

    def _end(self, pod: Object, one: _Started | None) -> None:
        """SIGTERM, then SIGKILL once its time is over; then it is gone, unless somebody holds it."""
        if one is not None and one.process.poll() is None:
            if one.asked is None:
                one.asked = time.monotonic()
                one.send(signal.SIGTERM)
            elif time.monotonic() - one.asked > pod["metadata"].get(
                "deletionGracePeriodSeconds", 30
            ):
                one.send(signal.SIGKILL)
            return
        if not pod["metadata"].get("finalizers"):
            self._double.state.remove(self._double.state.kind("Pod"), pod)

    def _ended(self, pod: Object, one: _Started) -> None:
        code = one.process.returncode
        code = 137 if one.killed else 128 - code if code < 0 else code
        ended: Object = {
            "exitCode": code,
            "reason": "Error" if code else "Completed",
            "finishedAt": stamp(),
        }
        if one.killed:
            ended["reason"] = "OOMKilled"
        elif code:
            ended["message"] = one.log.read_text("utf-8")[-500:]
        statuses = [
            {**container, "ready": False, "state": {"terminated": ended}}
            for container in pod["status"].get("containerStatuses") or []
        ]
        phase = "Failed" if code else "Succeeded"
        conditions = [
            {**c, "status": "False"} if c["type"] in ("Ready", "ContainersReady") else c
            for c in pod["status"].get("conditions") or []
        ]
        more = {"phase": phase, "containerStatuses": statuses, "conditions": conditions}
        self._put(pod, {**pod["status"], **more})

    def _put(self, pod: Object, status: Object) -> None:
        kind = self._double.state.kind("Pod")
        self._double.state.put(kind, {**pod, "status": status})
