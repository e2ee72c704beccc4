"""What can be set, one documented dataclass a group. Seconds everywhere."""

# ruff: noqa: RUF009 - setting makes a dataclasses.field, which is what may stand there

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sloguard.settings.alertmanager import AlertmanagerSettings
from sloguard.settings.alerts import AlertsSettings
from sloguard.settings.approvals import ApprovalsSettings
from sloguard.settings.backlog import BacklogSettings
from sloguard.settings.executor import ExecutorSettings, JanitorSettings
from sloguard.settings.fields import setting
from sloguard.settings.grafana import GrafanaSettings
from sloguard.settings.notify import ChannelSettings, NotifySettings
from sloguard.settings.outbox import OutboxSettings
from sloguard.settings.reports import ReportSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusSettings:
    """How Prometheus, Thanos, Mimir or VictoriaMetrics is reached."""

    url: str = setting(
        "http://127.0.0.1:9090",
        "Base address, with the path prefix if there is one.",
        secret=True,
    )
    username: str = setting("", "User of basic authentication.")
    password: str = setting("", "Password of basic authentication.", secret=True)
    password_file: Path | None = setting(None, "File that holds the password.", "path")
    token: str = setting("", "Bearer token.", secret=True)
    token_file: Path | None = setting(
        None, "File that holds the bearer token; read again for every request.", "path"
    )
    headers: Mapping[str, str] = setting(
        {}, "Extra headers of every request, such as X-Scope-OrgID.", "mapping", secret=True
    )
    params: Mapping[str, str] = setting({}, "Extra parameters of every query.", "mapping")
    ca_file: Path | None = setting(None, "PEM bundle to trust in place of the usual ones.", "path")
    cert_file: Path | None = setting(None, "Client certificate (PEM).", "path")
    key_file: Path | None = setting(None, "Key of the client certificate (PEM).", "path")
    verify: bool = setting(True, "Whether the server's certificate is checked.", "flag")
    deadline: float = setting(
        30.0, "Longest time of one query with all its retries.", "duration", above=0
    )
    connect_timeout: float = setting(
        5.0, "Longest time until a connection stands.", "duration", above=0
    )
    retries: int = setting(
        4,
        "How often a failed connection, 502, 503 or 504 is tried again; 429 until the deadline.",
        "whole",
        least=0,
    )
    concurrency: int = setting(
        8,
        "Requests under way at once; fewer while the server has too much to do.",
        "whole",
        least=1,
        most=19,
    )
    max_points: int = setting(
        11_000,
        "Points of a series that the server answers at once; longer windows are cut.",
        "whole",
        least=1,
        most=11_000,
    )
    max_window: float = setting(
        0.0,
        "Longest window of one query, such as Mimir's limit less the lookback; longer ones are cut. 0: any.",
        "duration",
        least=0,
    )
    compression: str = setting(
        "auto",
        "Encoding of the answers; auto: gzip, except from this host and this cluster.",
        "choice",
        choices=("auto", "gzip", "identity"),
    )
    scrape_interval: float = setting(
        15.0,
        "Step of the points where the server does not tell its scrape interval.",
        "duration",
        least=1,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesSettings:
    """How clusters are reached that faults and probes work on."""

    kubeconfig: Path | None = setting(
        None, "The kubeconfig.", "path", shown="$KUBECONFIG, else ~/.kube/config"
    )
    context: str = setting("", "Context of the kubeconfig.", shown="its current one")
    in_cluster: str = setting(
        "auto",
        "Whether the service account of sloguard's own pod is used; auto: where there is no kubeconfig.",
        "choice",
        choices=("auto", "always", "never"),
    )
    impersonate: str = setting("", "User to act as.")
    impersonate_group: str = setting(
        "", "Group to act as, with the user; several with commas between."
    )
    namespace: str = setting(
        "",
        "Where sloguard keeps what belongs to no namespace: locks of nodes, records of what was deleted.",
        shown="its own pod's, else the context's, else default",
    )
    timeout: float = setting(
        30.0, "Longest time of one call with all its retries.", "duration", above=0
    )
    connect_timeout: float = setting(
        5.0, "Longest time until a connection stands.", "duration", above=0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where runs are kept."""

    url: str = setting(
        "",
        "A file's path, sqlite:////PATH or postgresql://USER@HOST/DATABASE.",
        secret=True,
        shown="$XDG_DATA_HOME/sloguard/sloguard.db",
    )
    url_file: Path | None = setting(
        None, "File that holds the URL, for one with a password.", "path"
    )
    locks: Path | None = setting(
        None,
        "Directory of the locks that keep two runs off one target.",
        "path",
        shown="$XDG_DATA_HOME/sloguard/locks",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How a run goes about its work."""

    end_early: bool = setting(True, "Whether 'after' may end once recovery has held.", "flag")
    tick: float = setting(2.0, "How often the live picture is announced.", "duration", above=0)
    metrics_patience: float = setting(
        75.0, "How long a Prometheus that is away at the end is waited for.", "duration", least=0
    )
    max_series: int = setting(
        10_000,
        "Series that a verdict tells one by one, the worst of each SLO first; the others are counted.",
        "whole",
        least=1,
    )
    budget_history: bool = setting(
        True,
        "Whether Prometheus is asked at a run's end how much of the error budgets was left before it.",
        "flag",
    )
    stop_grace: float = setting(
        5.0,
        "How long a stopped activity may take to end before the undo begins.",
        "duration",
        least=0,
    )
    undo_attempts: int = setting(3, "An undo is tried at least this often.", "whole", least=1)
    undo_patience: float = setting(
        60.0, "An undo is tried for at least this long.", "duration", least=0
    )
    undo_timeout: float = setting(30.0, "Longest time of one attempt to undo.", "duration", above=0)
    rollback_attempts: int = setting(
        3, "A declared rollback is tried this often.", "whole", least=1
    )
    rollback_timeout: float = setting(
        300.0, "Longest time of one attempt of a declared rollback.", "duration", above=0
    )
    control_timeout: float = setting(
        60.0, "Longest time of the controls at one place.", "duration", above=0
    )
    use_drivers: bool = setting(
        False,
        "Whether chaosk8s and chaosistio are called themselves, in place of sloguard's own functions.",
        "flag",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartSettings:
    """How charts look, and where a run's are written."""

    directory: Path | None = setting(
        None, "Directory of every run's charts; none are written without.", "path"
    )
    format: str = setting("svg", "Format of the charts.", "choice", choices=("svg", "png", "pdf"))
    theme: str = setting("light", "Colours of the charts.", "choice", choices=("light", "dark"))
    scale: float = setting(
        1.0, "Size of everything in a PNG; 2 for sharp screens.", "number", above=0, most=8
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """The service: what it offers, to whom, and how much of it."""

    bind: str = setting("127.0.0.1:8088", "HOST:PORT on which it listens; [::1]:8088 for IPv6.")
    base_url: str = setting(
        "",
        "Address under which people reach it, such as https://sloguard.example.com.",
        shown="that of the request",
    )
    workers: int = setting(2, "Processes that answer requests.", "whole", least=1)
    threads: int = setting(
        24,
        "Requests that each of them answers at once. One that waits for a verdict or follows events "
        "takes a thread for as long; these get two thirds at most.",
        "whole",
        least=3,
        most=1000,
    )
    experiments: tuple[str, ...] = setting(
        (), "Directories of experiments that it offers; looked at again when they change.", "list"
    )
    allow: Mapping[str, str] = setting(
        {},
        "Directories whose experiments may use process and python providers of their own: "
        "DIRECTORY=process, DIRECTORY=python or DIRECTORY=process+python. Elsewhere they are refused.",
        "mapping",
    )
    targets: Mapping[str, str] = setting(
        {},
        "Directories whose experiments work on one target, DIRECTORY=NAME: of one target one runs at a "
        "time, the others wait.",
        "mapping",
    )
    slos: Path | None = setting(
        None,
        "Directory of named sets of SLOs, NAME.yaml each, by which windows are judged.",
        "path",
    )
    allow_urls: tuple[str, ...] = setting(
        (),
        "Addresses that http providers and load may call, with * for any text: "
        "http://*.shop.svc:8080/*. Others are refused, and metadata addresses always are.",
        "list",
    )
    executor: str = setting(
        "local",
        "Who carries runs out: processes beside the service, or Jobs of the cluster (see the group executor).",
        "choice",
        choices=("local", "kubernetes"),
    )
    concurrency: int = setting(
        2,
        "Runs under way at once, of this process; with executor: kubernetes of all replicas together. The "
        "others wait.",
        "whole",
        least=1,
    )
    drain: float = setting(
        0.0,
        "How long a service that is told to end waits for the runs beside it, which it asks to stop and undo "
        "(not for Jobs); 0: they go on, and the next service finds them, which no container lets them do.",
        "duration",
        least=0,
    )
    max_queue: int = setting(100, "Runs that may wait; more are refused.", "whole", least=1)
    window_max: float = setting(
        4 * 3600.0,
        "Longest time that a window stays open before it is closed and judged anyway.",
        "duration",
        above=0,
    )
    auth: str = setting(
        "auto",
        "Whether a token or a login is asked for; auto: unless bind is a loopback address, and neither "
        "base_url nor trusted_proxies tell of others who could reach it.",
        "choice",
        choices=("auto", "on", "off"),
    )
    session_hours: float = setting(12.0, "How long a login lasts.", "number", above=0)
    trusted_proxies: tuple[str, ...] = setting(
        (), "Addresses or networks of proxies whose forwarding headers count.", "list"
    )
    proxy_user_header: str = setting(
        "", "Header in which a trusted proxy names the user, such as X-Forwarded-User."
    )
    proxy_groups_header: str = setting(
        "",
        "Header in which it names the user's groups, with commas between, such as X-Forwarded-Groups.",
    )
    proxy_scopes: Mapping[str, str] = setting(
        {},
        "What users of the proxy may do: NAME=SCOPE, group:NAME=SCOPE or *=SCOPE for everybody; "
        "SCOPE is read, run or admin.",
        "mapping",
        shown="*=read",
    )
    hosts: tuple[str, ...] = setting(
        (),
        "Host names under which it may be reached; others are refused. Addresses, localhost and that of "
        "base_url always count.",
        "list",
        shown="any where credentials are asked for, none otherwise",
    )
    body_limit: int = setting(
        1 << 20, "Largest body of a request, in bytes.", "whole", least=1, most=64 << 20
    )
    rate_limit: float = setting(
        50.0,
        "Requests a second that one client (a token, a user, else an address) may send to each of the "
        "workers for long; 0: any.",
        "number",
        least=0,
    )
    retention_days: float = setting(
        0.0, "Runs that are older are deleted; 0: none is for its age.", "number", least=0
    )
    retention_runs: int = setting(
        0, "Only so many of the newest runs are kept; 0: all.", "whole", least=0
    )
    audit_days: float = setting(
        0.0, "Entries of the audit log that are older are deleted; 0: none is.", "number", least=0
    )
    log_format: str = setting("text", "How logs are written.", "choice", choices=("text", "json"))
    access_log: bool = setting(True, "Whether every request is logged.", "flag")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All groups. ``origins``: where each setting that is no default came from, by its name.

    ``channels``: those of notify.channels, which only a file can hold.
    """

    prometheus: PrometheusSettings = field(default_factory=PrometheusSettings)
    kubernetes: KubernetesSettings = field(default_factory=KubernetesSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    runs: RunSettings = field(default_factory=RunSettings)
    charts: ChartSettings = field(default_factory=ChartSettings)
    serve: ServeSettings = field(default_factory=ServeSettings)
    executor: ExecutorSettings = field(default_factory=ExecutorSettings)
    janitor: JanitorSettings = field(default_factory=JanitorSettings)
    alerts: AlertsSettings = field(default_factory=AlertsSettings)
    alertmanager: AlertmanagerSettings = field(default_factory=AlertmanagerSettings)
    outbox: OutboxSettings = field(default_factory=OutboxSettings)
    grafana: GrafanaSettings = field(default_factory=GrafanaSettings)
    notify: NotifySettings = field(default_factory=NotifySettings)
    channels: tuple[ChannelSettings, ...] = ()
    reports: ReportSettings = field(default_factory=ReportSettings)
    approvals: ApprovalsSettings = field(default_factory=ApprovalsSettings)
    backlog: BacklogSettings = field(default_factory=BacklogSettings)
    origins: Mapping[str, str] = field(default_factory=dict)


GROUPS: Mapping[str, type[Any]] = {
    "prometheus": PrometheusSettings,
    "kubernetes": KubernetesSettings,
    "store": StoreSettings,
    "runs": RunSettings,
    "charts": ChartSettings,
    "serve": ServeSettings,
    "executor": ExecutorSettings,
    "janitor": JanitorSettings,
    "alerts": AlertsSettings,
    "alertmanager": AlertmanagerSettings,
    "outbox": OutboxSettings,
    "grafana": GrafanaSettings,
    "notify": NotifySettings,
    "reports": ReportSettings,
    "approvals": ApprovalsSettings,
    "backlog": BacklogSettings,
}
