"""What every answer tells browsers: nothing of elsewhere, no script but ours, in nobody's frame, kept nowhere."""

from __future__ import annotations

Headers = list[tuple[str, str]]

PAGE_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
#: A picture that is opened by itself may be styled, and do nothing.
PICTURE_CSP = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
_OTHER_CSP = "default-src 'none'; frame-ancestors 'none'; sandbox"
_DATA = frozenset({"application/json", "application/problem+json"})
_CSP = {"text/html": PAGE_CSP, "image/svg+xml": PICTURE_CSP}
_ALWAYS = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)
#: What can be opened and looked at in a browser. JSON loads nothing, links to nothing and runs nothing.
_FOR_DOCUMENTS = (
    # Not 'no-referrer': browsers would then send forms without their origin.
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    (
        "Permissions-Policy",
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
)
#: What can be compressed is, where that is understood.
_VARY = ("Vary", "Accept-Encoding")
_HTTPS = ("Strict-Transport-Security", "max-age=31536000")


def complete(headers: Headers, *, https: bool) -> None:
    """Add what is missing, in place. What a view has decided itself stays."""
    given = {name.lower(): value for name, value in headers}
    media = given.get("content-type", "").partition(";")[0]
    headers += _ALWAYS
    if media not in _DATA:
        headers += [(name, value) for name, value in _FOR_DOCUMENTS if name.lower() not in given]
    if "content-security-policy" not in given:
        headers.append(("Content-Security-Policy", _CSP.get(media, _OTHER_CSP)))
    if "cache-control" not in given:
        headers.append(("Cache-Control", "no-store"))
    if "cross-origin-resource-policy" not in given:
        headers.append(("Cross-Origin-Resource-Policy", "same-origin"))
    if "vary" not in given:
        headers.append(_VARY)
    if https:
        headers.append(_HTTPS)
