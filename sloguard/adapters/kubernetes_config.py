"""How a cluster is reached: kubeconfig, context, service account, impersonation."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sloguard.ports import ClusterError, ClusterUnauthorized, Whereabouts

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


#: By which chaosk8s reaches a cluster where there is no kubeconfig.
_DRIVERS_CREDENTIALS = (
    "KUBERNETES_HOST",
    "KUBERNETES_API_KEY",
    "KUBERNETES_USERNAME",
    "KUBERNETES_CERT_FILE",
)

_Headers = tuple[tuple[str, str], ...]
_Read = tuple[Any, str, str, _Headers]


@dataclass(frozen=True, slots=True)
class KubernetesSettings:
    """``kubeconfig`` None: KUBECONFIG, else ~/.kube/config. ``in_cluster`` None: the service account is
    used where there is one and no kubeconfig. Times in seconds: ``timeout`` for a call with all its
    retries, ``connect_timeout`` until a connection stands. ``namespace``: where sloguard keeps its own."""

    kubeconfig: Path | None = None
    context: str = ""
    in_cluster: bool | None = None
    impersonate: str = ""
    impersonate_group: str = ""
    namespace: str = ""
    timeout: float = 30.0
    connect_timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class Connection:
    """What a client is made of. ``configuration``: the Kubernetes client's own, credentials loaded.
    ``headers``: whom to act as, beside the credentials; a name may be there several times."""

    configuration: Any
    context: str
    headers: tuple[tuple[str, str], ...]
    whereabouts: Whereabouts
    own_namespace: str


def connection(
    settings: KubernetesSettings,
    environ: Mapping[str, str] = os.environ,
    account: Path = SERVICE_ACCOUNT,
) -> Connection:
    """Read the configuration. ``account``: where a pod finds its service account. Raises ClusterError with what is missing and where it was looked for."""
    inside = _is_inside(settings, environ)
    configuration, context, its_namespace, its_headers = (
        _service_account(environ, account)
        if inside
        else _in_time(settings.timeout, lambda: _kubeconfig(settings, environ))
    )
    here = _whereabouts(context, environ, account)
    return Connection(
        configuration=configuration,
        context=context,
        headers=_impersonation(settings) or its_headers,
        whereabouts=here,
        own_namespace=settings.namespace or here.namespace or its_namespace or "default",
    )


def _in_time(seconds: float, read: Callable[[], _Read]) -> _Read:
    """A kubeconfig may name a program that gets credentials, which the Kubernetes client waits for as long
    as it takes: a login that nobody answers, say. Raises ClusterError."""
    found: list[_Read] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            found.append(read())
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            errors.append(error)

    thread = threading.Thread(target=work, name="kubeconfig", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not found:
        raise ClusterError(
            f"the program that the kubeconfig names for credentials has not answered within {seconds:g}s"
        )
    return found[0]


def _impersonation(settings: KubernetesSettings) -> tuple[tuple[str, str], ...]:
    groups = [group.strip() for group in settings.impersonate_group.split(",") if group.strip()]
    if not settings.impersonate:
        if groups:
            raise ClusterError(
                "kubernetes.impersonate_group goes with kubernetes.impersonate: a group alone cannot be acted as"
            )
        return ()
    return (
        ("Impersonate-User", settings.impersonate),
        *(("Impersonate-Group", group) for group in groups),
    )


def _of_user(user: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Whom a user of a kubeconfig acts as, which the Kubernetes client leaves out: without this, sloguard
    would have the rights of whoever may impersonate, which are greater."""
    if not user.get("as"):
        return ()
    extra = user.get("as-user-extra") or {}
    return (
        ("Impersonate-User", str(user["as"])),
        *((("Impersonate-Uid", str(user["as-uid"])),) if user.get("as-uid") else ()),
        *(("Impersonate-Group", str(group)) for group in user.get("as-groups") or ()),
        *(
            (f"Impersonate-Extra-{quote(str(name), safe='')}", str(value))
            for name, values in extra.items()
            for value in values or ()
        ),
    )


def _is_inside(settings: KubernetesSettings, environ: Mapping[str, str]) -> bool:
    if settings.in_cluster is not None:
        return settings.in_cluster
    named = settings.kubeconfig or settings.context or environ.get("KUBECONFIG")
    return (
        not named and not _default_file().is_file() and bool(environ.get("KUBERNETES_SERVICE_HOST"))
    )


def _default_file() -> Path:
    return Path("~/.kube/config").expanduser()


def _service_account(environ: Mapping[str, str], account: Path) -> _Read:
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException
    from kubernetes.config.incluster_config import InClusterConfigLoader

    configuration = Configuration()
    try:
        InClusterConfigLoader(
            str(account / "token"), str(account / "ca.crt"), environ=dict(environ)
        ).load_and_set(configuration)
    except (ConfigException, OSError) as error:
        raise ClusterUnauthorized(
            f"the service account of this pod cannot be used: {error}; "
            "is this a pod of a cluster, and is automountServiceAccountToken on?"
        ) from error
    return configuration, "in-cluster", "", ()


def _kubeconfig(settings: KubernetesSettings, environ: Mapping[str, str]) -> _Read:
    from kubernetes.client import Configuration
    from kubernetes.config import ConfigException
    from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger
    from yaml import YAMLError

    files = _files(settings, environ)
    there = [file for file in files.split(os.pathsep) if file and Path(file).expanduser().is_file()]
    if not there:
        raise ClusterError(
            f"no kubeconfig at {files}; name one with SLOGUARD_KUBERNETES_KUBECONFIG, "
            f"or set kubernetes.in_cluster inside of a cluster{_of_drivers(environ)}"
        )
    try:
        merged = KubeConfigMerger(os.pathsep.join(there)).config
        loader = KubeConfigLoader(config_dict=merged, active_context=settings.context or None)
        configuration = Configuration()
        loader.load_and_set(configuration)
        current = loader.current_context
        headers = _of_user(_user_of(merged, str(current["context"]["user"])))
    except ConfigException as error:
        raise ClusterError(f"{files}: {_plain(error)}") from error
    except (OSError, YAMLError, ValueError, TypeError, AttributeError, KeyError) as error:
        # The text of a YAML error quotes the file, which holds credentials.
        raise ClusterError(f"{files} is not a kubeconfig ({type(error).__name__})") from error
    namespace = str(current["context"].get("namespace") or "")
    return configuration, str(current["name"]), namespace, headers


def _of_drivers(environ: Mapping[str, str]) -> str:
    """What to do where credentials are given as chaosk8s takes them, by their names alone."""
    named = [name for name in _DRIVERS_CREDENTIALS if environ.get(name)]
    if not named:
        return ""
    return (
        f". {' and '.join(named)} in the environment are read by the driver chaosk8s alone: write them into a "
        "kubeconfig (kubectl config set-cluster, set-credentials, set-context), or run with --use-drivers"
    )


def _user_of(merged: Any, name: str) -> Mapping[str, Any]:
    """A user of a kubeconfig that was put together from several files."""
    for entry in merged.value.get("users") or ():
        # The merger keeps with each entry the file that it is from.
        plain = getattr(entry, "value", entry)
        if plain.get("name") == name:
            found = plain.get("user") or {}
            made: Mapping[str, Any] = getattr(found, "value", found)
            return made
    return {}


def _files(settings: KubernetesSettings, environ: Mapping[str, str]) -> str:
    if settings.kubeconfig is not None:
        return str(settings.kubeconfig)
    return environ.get("KUBECONFIG") or str(_default_file())


def _plain(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _whereabouts(context: str, environ: Mapping[str, str], account: Path) -> Whereabouts:
    """The pod that this process runs in, if it is one of a cluster; its name is its host's name."""
    if not environ.get("KUBERNETES_SERVICE_HOST"):
        return Whereabouts(context)
    namespace = environ.get("POD_NAMESPACE", "")
    if not namespace:
        try:
            namespace = (account / "namespace").read_text("utf-8").strip()
        except OSError:
            namespace = ""
    return Whereabouts(context, namespace, environ.get("POD_NAME") or socket.gethostname())
