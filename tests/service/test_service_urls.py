"""Which URLs a service calls: the operator's, and never a metadata service, by whatever name."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sloguard.ports.service import ServiceError
from sloguard.service.guarding import guarded_probe
from sloguard.service.urls import UrlRules
from tests.support.calling import carry_out

NAMES = {
    "shop.test": ["10.1.2.3"],
    "a.shop.test": ["10.1.2.4"],
    "sneaky.shop.test": ["10.1.2.5", "169.254.169.254"],
    "six.shop.test": ["fe80::1"],
    "evil.test": ["203.0.113.9"],
}


def resolve(host: str) -> Iterable[str]:
    if host in NAMES:
        return NAMES[host]
    if host.replace(".", "").isdigit() or ":" in host:
        return [host]
    raise OSError("unknown")


def reason(url: str, *patterns: str) -> str | None:
    return UrlRules(patterns, resolve)(url)


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("http://shop.test", "http://shop.test/any/path?x=1"),
        ("http://shop.test:8080/*", "http://shop.test:8080/a"),
        ("http://*.shop.test/health", "http://a.shop.test/health?deep=1"),
        ("https://shop.test", "https://shop.test:443/"),
        ("*://shop.test:*", "https://shop.test:9999/"),
        ("http://SHOP.test/", "HTTP://shop.TEST./"),
        ("http://[::1]:8080", "http://[::1]:8080/x"),
        ("*", "https://unknown.test:1/x"),
    ],
)
def test_allowed(pattern: str, url: str) -> None:
    assert reason(url, "http://other.test", pattern) is None


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("http://shop.test", "https://shop.test/"),
        ("http://shop.test", "http://shop.test:8080/"),
        ("http://shop.test", "http://shop.test.evil.test/"),
        ("http://shop.test", "http://evil.test/?http://shop.test"),
        ("http://shop.test", "http://shop.test@evil.test/"),
        ("http://shop.test", "http://evil.test#@shop.test/"),
        ("http://shop.test", "http://evil.test\\@shop.test/"),
        ("http://*.shop.test/*", "http://evil.test/.shop.test/x"),
        ("http://*.shop.test/*", "http://shop.test/"),
        ("http://shop.test/public/*", "http://shop.test/public/../admin"),
        ("http://shop.test/public/*", "http://shop.test/public/%2e%2e/admin"),
        ("http://shop.test/health", "http://shop.test/healthz"),
        ("*", "file:///etc/passwd"),
        ("*", "gopher://shop.test/"),
        ("*", "http://"),
        ("*", "http://shop.test:99999/"),
        ("*", "http://sh op.test/"),
    ],
)
def test_refused(pattern: str, url: str) -> None:
    assert reason(url, pattern)


def test_none_are_allowed_where_the_operator_says_nothing() -> None:
    assert "serve.allow_urls" in str(reason("http://shop.test/"))


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://169.254.0.1/",
        "http://100.100.100.200/",
        "http://168.63.129.16/",
        "http://[fe80::1]/",
        "http://[fd00:ec2::254]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://sneaky.shop.test/",
        "http://six.shop.test/",
    ],
)
def test_metadata_services_are_refused_by_every_name(url: str) -> None:
    assert "metadata" in str(reason(url, "*"))


def test_numbers_that_are_addresses_are_looked_up_for_what_they_are() -> None:
    assert "metadata" in str(UrlRules(["*"])("http://2852039166/"))
    assert "metadata" in str(UrlRules(["*"])("http://0xa9fea9fe/"))


@pytest.mark.parametrize("pattern", ["shop.test", "ftp://x", "http://", "http://a@b", "http://a:x"])
def test_patterns_that_are_none(pattern: str) -> None:
    with pytest.raises(ServiceError, match=r"serve\.allow_urls"):
        UrlRules([pattern])


@pytest.fixture
def server():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            elsewhere = self.path.startswith("/go")
            self.send_response(302 if elsewhere else 200)
            if elsewhere:
                self.send_header("Location", self.path.removeprefix("/go?"))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    seen: list[str] = []
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.seen = seen  # type: ignore[attr-defined]  # for the tests
    thread = threading.Thread(target=made.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def test_a_redirect_is_asked_about_again(server) -> None:
    here = f"http://127.0.0.1:{server.server_port}"
    rules = UrlRules([f"{here}/go", f"{here}/fine"])

    def went(to: str) -> str | None:
        return carry_out({"type": "http", "url": f"{here}/go?{to}"}, allow_url=rules).error

    assert went(f"{here}/fine") is None
    assert "may not be called" in str(went(f"{here}/other"))
    assert "may not be called" in str(went("http://169.254.169.254/latest"))
    assert server.seen.count("/fine") == 1
    assert "/other" not in server.seen


def test_where_a_connection_got_to_counts_whatever_the_name_said_before(server) -> None:
    """A name that leads elsewhere at the second look: here loopback stands for the metadata service."""

    class Rebound(UrlRules):
        def address(self, text: str) -> str | None:
            return "it is forbidden" if text == "127.0.0.1" else None

    rules = Rebound(["*"], lambda _host: ["203.0.113.9"])
    url = f"http://localhost:{server.server_port}/fine"
    result = carry_out({"type": "http", "url": url}, allow_url=rules)
    assert "it is forbidden" in str(result.error)
    assert server.seen == []


def test_probes_of_a_configuration_are_held_to_the_same(server) -> None:
    from sloguard.core.model import Activity

    def asked(provider: dict[str, object], allowed: frozenset[str] = frozenset()) -> object:
        probe = guarded_probe(allowed, UrlRules(["http://shop.test"], resolve))
        return probe(Activity("configuration.x", "probe", "x", provider), {}, {})

    with pytest.raises(ValueError, match="may not be called"):
        asked({"type": "http", "url": f"http://127.0.0.1:{server.server_port}/fine"})
    with pytest.raises(ValueError, match="needs the permission 'process'"):
        asked({"type": "process", "path": "true"})
    with pytest.raises(ValueError, match="needs the permission 'python'"):
        asked({"type": "python", "module": "os", "func": "getcwd"})
    assert asked({"type": "process", "path": "true"}, frozenset({"process"}))
