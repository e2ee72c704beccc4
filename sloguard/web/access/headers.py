"""What every answer tells browsers: nothing of elsewhere, no script but ours, in nobody's frame, kept nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Response

PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
#: A picture that is opened by itself may be styled, and do nothing.
PICTURE_CSP = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
_OTHER_CSP = "default-src 'none'; frame-ancestors 'none'; sandbox"
_CSP = {"text/html": PAGE_CSP, "image/svg+xml": PICTURE_CSP}
_ALWAYS = [
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    # Not 'no-referrer': browsers would then send forms without their origin.
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    (
        "Permissions-Policy",
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
]
_HTTPS = ("Strict-Transport-Security", "max-age=31536000")


def secure(response: Response, *, https: bool) -> None:
    """Complete the headers. What a view has decided itself stays."""
    headers = response.headers
    missing = list(_ALWAYS)
    if "Content-Security-Policy" not in headers:
        missing.append(("Content-Security-Policy", _CSP.get(response.mimetype or "", _OTHER_CSP)))
    if "Cache-Control" not in headers:
        missing.append(("Cache-Control", "no-store"))
    if "Cross-Origin-Resource-Policy" not in headers:
        missing.append(("Cross-Origin-Resource-Policy", "same-origin"))
    if https:
        missing.append(_HTTPS)
    headers.extend(missing)
