"""One service of the shop at a time, over real sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from sloguard.demo.environment import importable
from sloguard.demo.layout import free_ports
from tests.support.patience import PATIENCE, SOON


@contextmanager
def serving(
    service: str, upstream: str | None = None, *options: str, port: int | None = None
) -> Iterator[str]:
    """A service as its own process; its URL once it answers."""
    port = port or free_ports().front
    command = [sys.executable, "-m", "sloguard.demo.shop", service, "--port", str(port), *options]
    command += ["--next", upstream] if upstream else []
    with subprocess.Popen(command, env=importable(os.environ)) as process:
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "the service does not come up"
            time.sleep(0.02)


def get(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def sample(address: str, series: str) -> float:
    lines = get(f"{address}/metrics")[1].splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(series + " ")))


def counted(address: str, service: str, code: int) -> float:
    return sample(address, f'http_requests_total{{code="{code}",method="GET",service="{service}"}}')


def test_an_order_goes_all_the_way_and_is_counted_on_it() -> None:
    with (
        serving("stock") as stock,
        serving("checkout", stock) as checkout,
        serving("front", checkout) as front,
    ):
        assert get(f"{front}/order") == (200, '{"order": "taken"}')
        assert get(f"{front}/order")[0] == 200
        for name, address in (("front", front), ("checkout", checkout), ("stock", stock)):
            assert counted(address, name, 200) == 2
            assert sample(address, f'http_request_duration_seconds_count{{service="{name}"}}') == 2
            assert counted(address, name, 503) == 0, "a first error has to be an increase"


def test_a_next_service_that_is_away_is_an_error_at_once() -> None:
    with serving("checkout", f"http://127.0.0.1:{free_ports().front}") as checkout:
        assert get(f"{checkout}/order")[0] == 503
        assert counted(checkout, "checkout", 503) == 1


def test_a_next_service_that_dies_and_comes_back_is_found_again() -> None:
    port = free_ports().front
    with serving("front", f"http://127.0.0.1:{port}") as front:
        for _ in range(2):
            with serving("stock", port=port):
                assert get(f"{front}/order")[0] == 200
            assert get(f"{front}/order")[0] == 503


def test_a_next_service_that_hangs_is_a_timeout() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with serving("front", address, "--patience", "0.1") as front:
            began = time.monotonic()
            assert get(f"{front}/order")[0] == 504
            assert time.monotonic() - began < SOON


def test_an_error_of_the_next_service_is_passed_on() -> None:
    with (
        serving("checkout", f"http://127.0.0.1:{free_ports().front}") as checkout,
        serving("front", checkout) as front,
    ):
        assert get(f"{front}/order")[0] == 503
        assert counted(front, "front", 503) == 1


def test_scrapes_and_health_checks_are_no_orders() -> None:
    with serving("stock") as stock:
        get(f"{stock}/healthz")
        get(f"{stock}/metrics")
        assert get(f"{stock}/nonsense")[0] == 404
        assert sample(stock, 'http_request_duration_seconds_count{service="stock"}') == 0


def test_slow_orders_show_in_the_histogram() -> None:
    with serving("stock", None, "--work", "0.3") as stock:
        get(f"{stock}/order")
        bucket = 'http_request_duration_seconds_bucket{le="%s",service="stock"}'
        assert sample(stock, bucket % "0.1") == 0
        assert sample(stock, bucket % "0.5") == 1
