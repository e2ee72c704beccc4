"""The one place where ports meet adapters.

One module a purpose. Whatever is heavy is imported by the function that needs it, so that importing this
package costs nothing.
"""

from sloguard.bootstrap.backlog import backlog_desk, backlog_file
from sloguard.bootstrap.desks import alert_desk, catalogue, job_desk, window_desk
from sloguard.bootstrap.executing import executor_misfits
from sloguard.bootstrap.outside import (
    LIVE_DEADLINE,
    alert_sources,
    kept_alerts,
    open_alertmanager,
    open_clusters,
    open_metrics,
    open_store,
    provide_clusters,
    stored_alerts,
)
from sloguard.bootstrap.people import (
    approval_desk,
    approval_links,
    approval_needed,
    stored_approvals,
)
from sloguard.bootstrap.processes import child_environ
from sloguard.bootstrap.reporting import report_desk, report_schedule, report_writers
from sloguard.bootstrap.running import loader, new_run_id, options, ports, run_probe
from sloguard.bootstrap.serving import bench, service
from sloguard.bootstrap.telling import (
    announcers,
    channels,
    courier,
    notifiers,
    open_grafana,
    open_notices,
    tell_people,
    toolkit_notifications,
    writers,
)

__all__ = [
    "LIVE_DEADLINE",
    "alert_desk",
    "alert_sources",
    "announcers",
    "approval_desk",
    "approval_links",
    "approval_needed",
    "backlog_desk",
    "backlog_file",
    "bench",
    "catalogue",
    "channels",
    "child_environ",
    "courier",
    "executor_misfits",
    "job_desk",
    "kept_alerts",
    "loader",
    "new_run_id",
    "notifiers",
    "open_alertmanager",
    "open_clusters",
    "open_grafana",
    "open_metrics",
    "open_notices",
    "open_store",
    "options",
    "ports",
    "provide_clusters",
    "report_desk",
    "report_schedule",
    "report_writers",
    "run_probe",
    "service",
    "stored_alerts",
    "stored_approvals",
    "tell_people",
    "toolkit_notifications",
    "window_desk",
    "writers",
]
