"""Ports, files and commands of the demo, checked by the servers' own tools where there are any."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from sloguard.demo.layout import Binaries, DemoError, Ports, find_binaries, free_ports, programs
from sloguard.demo.servers import envoy_config, write_files

PORTS = Ports(11001, (11011, 11012, 11013), 11002, 11003, 11004, 11005, 11006)
BINARIES = Binaries("/bin/prometheus", "/bin/alertmanager", "/bin/envoy")


def all_of(ports: Ports) -> list[int]:
    return [
        ports.front,
        *ports.checkout,
        ports.stock,
        ports.envoy,
        ports.envoy_admin,
        ports.prometheus,
        ports.alertmanager,
    ]


def test_ports_are_distinct_and_never_those_of_outgoing_connections() -> None:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    chosen = all_of(free_ports())
    assert len(set(chosen)) == 9
    assert not [port for port in chosen if first <= port <= last]


def test_a_port_that_somebody_listens_on_is_not_chosen() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_ports().front))
        taken.listen()
        for _ in range(20):
            assert taken.getsockname()[1] not in all_of(free_ports())


def test_what_is_missing_is_named_all_at_once_with_the_way_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DemoError) as caught:
        find_binaries(path=str(tmp_path))
    assert "apt-get install prometheus)" in str(caught.value)
    assert "apt-get install prometheus-alertmanager)" in str(caught.value)
    assert "scripts/setup.sh demo" in str(caught.value)


def test_alertmanager_is_found_under_both_of_its_names(tmp_path: Path) -> None:
    for name in ("prometheus", "alertmanager"):
        (tmp_path / name).touch(mode=0o755)
    assert find_binaries(path=str(tmp_path)).alertmanager == str(tmp_path / "alertmanager")
    (tmp_path / "prometheus-alertmanager").touch(mode=0o755)
    assert find_binaries(path=str(tmp_path)).alertmanager.endswith("prometheus-alertmanager")


def test_every_process_can_be_told_to_belong_to_its_demo(tmp_path: Path) -> None:
    plan = programs(tmp_path, BINARIES, PORTS)
    assert [p.name for p in plan if str(tmp_path) not in " ".join(p.command)] == []
    assert [p.name for p in plan if not p.restart] == ["alertmanager", "prometheus", "envoy"]


def test_envoy_breaks_nothing_until_it_is_told_to() -> None:
    text = json.dumps(envoy_config(PORTS))
    assert text.count('"numerator": 0') == 2
    assert "health_checks" not in text
    assert "outlier_detection" not in text


@pytest.mark.integration
def test_the_servers_accept_their_configuration(tmp_path: Path) -> None:
    write_files(tmp_path, PORTS)
    binaries = find_binaries()
    promtool = shutil.which("promtool")
    assert promtool, "promtool comes with Prometheus"
    for command in (
        [promtool, "check", "config", str(tmp_path / "prometheus.yml")],
        [
            binaries.envoy,
            "--mode",
            "validate",
            "--disable-hot-restart",
            "-c",
            str(tmp_path / "envoy.json"),
        ],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stdout + done.stderr
