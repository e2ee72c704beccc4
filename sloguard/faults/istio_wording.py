"""What the documentation of Istio's faults has in common: arguments that they share."""

from __future__ import annotations

import inspect

from sloguard.faults.base import Planner

_SHARE = "percentage: Share of the requests, all of them if not given.\n"
_WHOM = f"""

virtual_service_name: Name of the VirtualService; without one, all that match are meant, as far as qty goes.
routes: Only routes to these destinations, as in the VirtualService: a list of mappings with
    destination, host and subset. All routes if not given.
{_SHARE}ns: Namespace, a list of them, or globs.
version: Version of Istio's API, as chaosistio takes it; another one that the cluster serves will do.
label_selector: Only VirtualServices with these labels.
name_pattern: Only VirtualServices in whose names this regular expression is found.
route_names: Only routes of these names.
headers: Only requests with these headers, names with exact values.
rand: Choose at random, repeatably by the seed; else the first by name.
qty: How many VirtualServices at most.
all: Every VirtualService that matches.
seed: Seed of that choice; the run's own if none is given.
opt_in: Only VirtualServices with the annotation sloguard.io/enabled set to true.
cluster: Context of the kubeconfig; the one of the settings if not given."""


def whom_wording(planner: Planner) -> Planner:
    """Adds what the faults have in common to their documentation."""
    text = _WHOM
    if "percentage" not in inspect.signature(planner).parameters:
        text = text.replace(_SHARE, "")
    planner.__doc__ = (planner.__doc__ or "").rstrip() + text.replace("\n", "\n    ")
    return planner


_REMOVING = """

A run undoes its faults by itself, so this is for a method that ends one early. What is sloguard's own
is not put back on undo: it was to be undone anyway.

virtual_service_name: Name of the VirtualService; all in the namespace if not given.
routes: Only from routes to these destinations; from all if not given.
ns: Namespace, a list of them, or globs.
version: Version of Istio's API; another one that the cluster serves will do.
label_selector: Only VirtualServices with these labels.
foreign: Take away what others have put there, too; that is put back on undo.
cluster: Context of the kubeconfig; the one of the settings if not given."""


def removing_wording(planner: Planner) -> Planner:
    """The same for what takes faults away."""
    planner.__doc__ = (planner.__doc__ or "").rstrip() + _REMOVING.replace("\n", "\n    ")
    return planner
