"""Around every view: the gate, and compression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response, g, request

from sloguard.web.envelope import ENDPOINT, REQUEST_ID
from sloguard.web.parts import Service

if TYPE_CHECKING:
    from flask import Flask

    from sloguard.web.answers import Packer


def register(app: Flask, service: Service, packer: Packer) -> None:
    """Everything that is done before and after the views."""
    gate = service.gate

    def before() -> Response | None:
        environ = request.environ
        g.request_id = environ[REQUEST_ID]
        environ[ENDPOINT] = request.endpoint
        return gate.enter()

    def after(response: Response) -> Response:
        gate.leave(response)
        return packer.pack(response)

    app.before_request(before)
    app.after_request(after)
