"""Bodies on their way out: JSON, entity tags, compression."""

from __future__ import annotations

import gzip
import hashlib
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import msgspec
from flask import Response, request
from werkzeug.http import parse_accept_header, parse_etags
from werkzeug.utils import get_content_type

from sloguard.web.endpoints import JSON

#: A run can be deleted, and what recovery finds out later changes its outcome: ask each time.
_ASK_AGAIN = ("Cache-Control", "private, no-cache")
_encode = msgspec.json.Encoder().encode
#: Less than this fits into one packet anyway.
_WORTH_PACKING = 1400
_PACKED_TYPES = ("application/json", "application/problem+json", "image/svg+xml", "text/")


def json_answer(
    data: Any, status: int = 200, *, headers: Mapping[str, str] | None = None
) -> Response:
    """Data that may be another one in a moment: nobody keeps it."""
    return Response(_encode(data), status, {"Content-Type": JSON, **(headers or {})})


def tag_of(*parts: str | bytes) -> str:
    """An entity tag: weak, because the same content also goes out compressed."""
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
        digest.update(b"\0")
    return f'W/"{digest.hexdigest()}"'


def unchanged(tag: str) -> Response | None:
    """304 where the client has this already."""
    known = request.environ.get("HTTP_IF_NONE_MATCH")
    if not known or not (known == tag or parse_etags(known).contains_weak(tag[3:-1])):
        return None
    made = Response(status=304, headers=[("ETag", tag), _ASK_AGAIN])
    del made.headers["Content-Type"]
    return made


def lasting(body: bytes, media: str, tag: str) -> Response:
    """What does not change by itself: kept by the client, and asked for again by its tag."""
    return Response(body, 200, [("Content-Type", _content_type(media)), ("ETag", tag), _ASK_AGAIN])


@cache
def _content_type(media: str) -> str:
    """With what a text is written in."""
    return get_content_type(media, "utf-8")


class Shelf:
    """Finished bytes by their key, the least used ones given up first. Any thread may use it."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """The bytes, or None."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: str, value: bytes) -> None:
        """Keep them, as long as there is room."""
        if len(value) > self._most // 4:
            return
        with self._lock:
            self._held += len(value) - len(self._kept.pop(key, b""))
            self._kept[key] = value
            while self._held > self._most:
                self._held -= len(self._kept.popitem(last=False)[1])


class Packer:
    """Compresses what the client can unpack and what is worth it."""

    def __init__(self, most_bytes: int = 16 << 20) -> None:
        self._shelf = Shelf(most_bytes)

    def pack(self, response: Response) -> Response:
        """The response, compressed where that helps. Streams are compressed as they go."""
        if not _takes_gzip():
            return response
        headers = response.headers
        kind = headers.get("Content-Type") or ""
        if response.status_code == 304 or not kind.startswith(_PACKED_TYPES):
            return response
        if kind.startswith("text/event-stream") or "Content-Encoding" in headers:
            return response
        if response.is_streamed:
            response.response = _stream(response.iter_encoded())
            headers["Content-Encoding"] = "gzip"
            return response
        body = response.get_data()
        if len(body) >= _WORTH_PACKING:
            response.set_data(self._packed(headers.get("ETag"), body))
            headers["Content-Encoding"] = "gzip"
        return response

    def _packed(self, tag: str | None, body: bytes) -> bytes:
        found = None if tag is None else self._shelf.get(tag)
        if found is None:
            found = gzip.compress(body, 5, mtime=0)
            if tag is not None:
                self._shelf.put(tag, found)
        return found


def _takes_gzip() -> bool:
    accepted = request.environ.get("HTTP_ACCEPT_ENCODING")
    if not accepted or "gzip" not in accepted:
        return False
    if "q=" not in accepted:
        return True
    return parse_accept_header(accepted).quality("gzip") > 0


def _stream(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """gzip, piece by piece."""
    packer = zlib.compressobj(5, zlib.DEFLATED, 31)
    try:
        for piece in pieces:
            packed = packer.compress(piece)
            if packed:
                yield packed
        yield packer.flush()
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
