"""Secrets of a channel: given themselves, in a file, or in an environment variable."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from sloguard.core.masking import Masker
from sloguard.ports.outbox import DeliveryError


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is. A file and a variable are read every time, so that it can be replaced."""

    what: str
    value: str = field(default="", repr=False)
    file: Path | None = None
    variable: str = ""
    environ: Mapping[str, str] | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return bool(self.value or self.file or self.variable)

    @property
    def source(self) -> str:
        """Where it comes from, in words that hold none of it."""
        if self.file is not None:
            return f"file {self.file}"
        return f"${self.variable}" if self.variable else ("settings" if self.value else "")

    def read(self) -> str:
        """The secret; empty where none is set. Raises DeliveryError where it cannot be had."""
        if self.file is not None:
            try:
                text = self.file.expanduser().read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or type(error).__name__
                raise DeliveryError(
                    f"the {self.what} cannot be read from {self.file}: {why}"
                ) from None
            if not text:
                raise DeliveryError(f"the file {self.file} holds no {self.what}: it is empty")
            return text
        if self.variable:
            text = (os.environ if self.environ is None else self.environ).get(self.variable, "")
            if not text.strip():
                raise DeliveryError(
                    f"the {self.what} is to be in ${self.variable}, which is not set"
                )
            return text.strip()
        return self.value


def masker(secrets: Iterable[str], urls: Iterable[str] = ()) -> Masker:
    """Takes secrets out of texts of others, and of URLs everything behind the host."""
    known = list(secrets)
    for url in urls:
        parts = urlsplit(url)
        known += [url, f"{parts.path}?{parts.query}" if parts.query else parts.path, parts.query]
        known += [part for part in parts.path.split("/") if len(part) >= 8]
        known += [part for part in (parts.username, parts.password) if part]
    return Masker(secret for secret in known if len(secret) > 1)
