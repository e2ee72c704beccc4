"""The service of a store, with a bare Flask route beside it on the same server.

python -m benchmarks.web_server STORE PORT
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from sloguard.settings import load_settings
from sloguard.web.opening import open_web
from sloguard.web.server import Server

#: About as long as a small verdict.
BODY = b'{"outcome":"met","slos":[' + b'{"name":"error-ratio","verdict":"met"},' * 45 + b"{}]}"


class Nobody:
    """No dispatcher: nothing is run here."""

    def look(self) -> None:
        """Nothing to start."""

    def ask_to_stop(self) -> None:
        """Nothing to stop."""

    def stop(self) -> None:
        """Nothing to wait for."""


def main(store: str, port: str) -> None:
    """Until a signal ends it."""
    settings = load_settings(flags={"store.url": store})

    def make(stopping: Callable[[], bool]) -> Any:
        bare = Flask("bare")

        @bare.get("/<run>")
        def answer(run: str) -> Response:  # noqa: ARG001 - a route with an argument, as the other has
            return Response(BODY, mimetype="application/json")

        @bare.post("/<run>")
        def drop(run: str) -> Response:  # noqa: ARG001 - the same
            request.get_data()
            return Response(BODY, mimetype="application/json")

        service = open_web(settings, stopping=stopping)
        return DispatcherMiddleware(service, {"/bare": bare})

    address = f"127.0.0.1:{port}"
    Server(make, Nobody(), bind=address, workers=2, threads=24, ready=lambda: None).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
