"""The double of the Kubernetes API answers as the real server did: every recorded exchange, in order."""

from __future__ import annotations

import copy
import itertools
import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.kubernetes.server import ADMIN_TOKEN, KubernetesDouble

RECORDED = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "kubernetes" / "exchanges.json").read_text()
)["exchanges"]
NAMES = [exchange["name"] for exchange in RECORDED]

#: Values that differ between two servers, wherever they stand. Those of _NAMED are sent back later.
_NAMED = {"uid", "resourceVersion"}
_TIMES = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
_VOLUME = re.compile(r"^kube-api-access-[a-z0-9]{5}$")
_ADDRESS = re.compile(r"^10\.244\.\d+\.\d+$")

#: The ends of the pods' names, in the order in which the double asks for them. A pod takes two: for its
#: name, and for the volume of its token.
_POD_NAMES = ("pwzkl", "w8znn", "7qf7g", "fw8w7", "lt9d7", "2q6v5", "v8g92")
SUFFIXES = [word for name in _POD_NAMES for word in (name, "token")]
HASHES = {"checkout": "547dfcbcfb", "cart": "55ffc6754"}

#: Where the recording was made before the controllers had done their work.
UNSETTLED = {
    "delete a pod that is gone",
    "evict a second at once, refused",
    "read a Deployment with its status",
}


class Server:
    """The double, brought to where the recording starts."""

    def __init__(self, double: KubernetesDouble) -> None:
        self.double = double
        self.actual: dict[str, str] = {}
        self.recorded: dict[str, str] = {}
        self.token = double.token("sloguard", "shop")
        node = next(e for e in RECORDED if e["name"] == "uncordon a node")["response"]
        self.make("/api/v1/namespaces", {"metadata": {"name": "shop"}})
        for index in range(3):
            made = json.loads(
                json.dumps(node)
                .replace("node-1", f"node-{index}")
                .replace("zone-1", f"zone-{index}")
            )
            self.make("/api/v1/nodes", {"metadata": {k: v for k, v in made["metadata"].items() if k in ("name", "labels", "annotations")}})  # fmt: skip
            kept = double.state.get("Node", f"node-{index}")
            double.state.put(double.state.kind("Node"), {**kept, "status": made["status"]})
        cart = copy.deepcopy(RECORDED[0]["request"]["body"])
        cart = json.loads(json.dumps(cart).replace("checkout", "cart"))
        cart["spec"]["replicas"] = 1
        self.make("/apis/apps/v1/namespaces/shop/deployments", cart)
        rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "get"]}]
        group = "rbac.authorization.k8s.io"
        self.make(
            f"/apis/{group}/v1/namespaces/shop/roles",
            {"metadata": {"name": "sloguard"}, "rules": rules},
        )
        self.make(f"/apis/{group}/v1/namespaces/shop/rolebindings", {
            "metadata": {"name": "sloguard"},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "sloguard"},
            "subjects": [{"kind": "ServiceAccount", "name": "sloguard", "namespace": "shop"}],
        })  # fmt: skip
        double.settle()

    def make(self, path: str, body: Any) -> None:
        assert self.send("POST", path, body)[0] == 201

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        token: str = ADMIN_TOKEN,
    ) -> tuple[int, Any]:
        headers = {"Content-Type": content_type, "Authorization": f"Bearer {token}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.double.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, self._read(answer, "watch=true" in path)
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode()
            return error.code, json.loads(text) if text.startswith("{") else text

    def _read(self, answer: Any, watching: bool) -> Any:
        if not watching:
            return json.loads(answer.read())
        lines = []
        for line in answer:
            lines.append(json.loads(line))
            if len(lines) == 3:
                break
        return lines

    def translated(self, value: Any) -> Any:
        """A recorded request, with this server's uids and versions."""
        text = json.dumps(value)
        for recorded, actual in self.actual.items():
            text = text.replace(f'"{recorded}"', f'"{actual}"').replace(
                f"={recorded}&", f"={actual}&"
            )
        return json.loads(text)

    def compare(self, recorded: Any, actual: Any, path: str = "") -> None:
        """The same but for what differs between servers; learns uids and versions by the way."""
        if isinstance(recorded, dict):
            assert isinstance(actual, dict), path
            assert set(recorded) == set(actual), f"{path}: {set(recorded) ^ set(actual)}"
            for key in recorded:
                self._value(key, recorded[key], actual[key], f"{path}.{key}")
        elif isinstance(recorded, list):
            assert isinstance(actual, list), path
            assert len(recorded) == len(actual), path
            for index, (one, other) in enumerate(zip(recorded, actual, strict=True)):
                self.compare(one, other, f"{path}[{index}]")
        else:
            assert self._same(recorded, actual), f"{path}: recorded {recorded!r}, found {actual!r}"

    def _value(self, key: str, recorded: Any, actual: Any, path: str) -> None:
        if key in _NAMED and isinstance(recorded, str):
            known = self.actual.setdefault(recorded, actual)
            back = self.recorded.setdefault(actual, recorded)
            # The same object has the same uid; what was not written keeps its version.
            if key == "uid":
                assert (known, back) == (actual, recorded), path
            self.actual[recorded] = actual
        elif key == "continue":
            assert actual, path
        elif path.startswith("[") and key in ("nodeName", "topology.kubernetes.io/zone"):
            # A watch tells of a new pod: where that goes is the scheduler's choice.
            assert str(actual)[:-1] == str(recorded)[:-1], path
        else:
            self.compare(recorded, actual, path)

    def _same(self, recorded: Any, actual: Any) -> bool:
        for pattern in (_TIMES, _VOLUME, _ADDRESS):
            if isinstance(recorded, str) and pattern.match(recorded):
                return bool(pattern.match(actual))
        if isinstance(recorded, str) and "strict decoding error" in recorded:
            # It quotes the object whole, with the managedFields that were left out of the recording.
            return actual.rpartition(": ")[2] == recorded.rpartition(": ")[2]
        for one, other in self.actual.items():
            if isinstance(recorded, str) and len(one) > 10:
                recorded = recorded.replace(one, other)
        return bool(recorded == actual)


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    """What came of each exchange: None, or how it differed."""
    suffixes = itertools.chain(SUFFIXES, (f"{n:05}" for n in itertools.count()))

    def hashed(template: Any) -> str:
        return HASHES[template["metadata"]["labels"]["app"]]

    found: dict[str, Any] = {}
    with KubernetesDouble(automatic=False, suffix=lambda: next(suffixes), hashed=hashed) as double:
        server = Server(double)
        for exchange in RECORDED:
            found[exchange["name"]] = replay(server, exchange)
    return found


def replay(server: Server, exchange: dict[str, Any]) -> str | None:
    double, name = server.double, exchange["name"]
    # The second eviction came before the kubelet had started what replaced the first.
    double.controllers.starts = name != "evict a second at once, refused"
    if name not in UNSETTLED or not double.controllers.starts:
        double.settle()
    token = ADMIN_TOKEN
    if "auth" in exchange["request"]:
        token = "not-one" if exchange["status"] == 401 else server.token
    request = exchange["request"]
    path, body = server.translated(request["path"]), server.translated(request.get("body"))
    if "watch=true" in path:
        # Somebody scaled it meanwhile.
        path = re.sub(r"resourceVersion=\d+", f"resourceVersion={double.state.version}", path)
        scale = "/apis/apps/v1/namespaces/shop/deployments/cart/scale"
        server.send("PATCH", scale, {"spec": {"replicas": 2}}, "application/merge-patch+json")
        double.settle()
    status, answer = server.send(
        request["method"], path, body, request.get("content_type", "application/json"), token
    )
    try:
        assert status == exchange["status"], f"status {status}: {answer}"
        server.compare(exchange["response"], answer)
    except AssertionError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", NAMES)
def test_the_double_answers_as_the_server_did(answers: dict[str, Any], name: str) -> None:
    assert answers[name] is None


def test_names_of_exchanges_tell_them_apart() -> None:
    assert len(set(NAMES)) == len(NAMES) == 47
