"""Certificates for tests, made with openssl: an authority, a server, a client."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """PEM files in one directory."""

    directory: Path

    @property
    def authority(self) -> Path:
        return self.directory / "ca.pem"

    def certificate(self, name: str) -> Path:
        return self.directory / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.directory / f"{name}.key"

    def issue(self, name: str, alternative: str = "IP:127.0.0.1") -> None:
        """A certificate, signed by the authority, for ``alternative`` (``DNS:…`` or ``IP:…``)."""
        request = self.directory / f"{name}.csr"
        extension = self.directory / f"{name}.ext"
        extension.write_text(f"subjectAltName={alternative}\n")
        _openssl(
            "req",
            "-new",
            *_NEW_KEY,
            "-keyout",
            self.key(name),
            "-subj",
            f"/CN={name}",
            "-out",
            request,
        )
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.authority),
            *("-CAkey", self.key("ca"), "-CAcreateserial", "-days", "2"),
            *("-extfile", extension, "-out", self.certificate(name)),
        )

    def server_context(self, name: str = "server", *, ask_client: bool = False) -> ssl.SSLContext:
        """What a TLS server needs; ``ask_client``: it takes only clients of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate(name), self.key(name))
        if ask_client:
            context.load_verify_locations(self.authority)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def make_certificates(directory: Path) -> Certificates:
    """An authority with a certificate for a ``server`` at 127.0.0.1 and one for a ``client``."""
    made = Certificates(directory)
    extensions = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    _openssl(
        *("req", "-x509", *_NEW_KEY, "-keyout", made.key("ca"), "-out", made.authority),
        *("-days", "2", "-subj", "/CN=test authority", *extensions),
    )
    made.issue("server")
    made.issue("client")
    return made


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr}")
