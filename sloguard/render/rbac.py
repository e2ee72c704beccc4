"""Needs as the smallest roles that give them, in Kubernetes's own words, and as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sloguard.ports.rights import Need, smallest

Manifest = dict[str, Any]
_GROUP = "rbac.authorization.k8s.io"
#: As people list them.
_ORDER = ("get", "list", "watch", "create", "update", "patch", "delete")


def roles(
    needs: Iterable[Need], *, name: str = "sloguard", account: tuple[str, str] | None = None
) -> list[Manifest]:
    """A Role for each namespace, a ClusterRole only for what is asked of the whole cluster, and with an
    ``account`` (namespace, name of a ServiceAccount) what binds them to it."""
    by_place: dict[str, list[Need]] = {}
    for need in smallest(needs):
        by_place.setdefault(need.namespace or "", []).append(need)
    made: list[Manifest] = []
    for namespace in sorted(by_place):
        kind = "Role" if namespace else "ClusterRole"
        about = {"name": name, **({"namespace": namespace} if namespace else {})}
        made.append(_object(kind, about, rules=rules(by_place[namespace])))
        if account is not None:
            subject = {"kind": "ServiceAccount", "namespace": account[0], "name": account[1]}
            reference = {"apiGroup": _GROUP, "kind": kind, "name": name}
            binding = _object(f"{kind}Binding", dict(about), roleRef=reference)
            made.append({**binding, "subjects": [subject]})
    return made


def _object(kind: str, about: Mapping[str, str], **content: Any) -> Manifest:
    return {"apiVersion": f"{_GROUP}/v1", "kind": kind, "metadata": dict(about), **content}


def rules(needs: Sequence[Need]) -> list[Manifest]:
    """As few rules as give exactly these needs, whatever their namespaces."""
    verbs: dict[tuple[str, str, str], set[str]] = {}
    for need in needs:
        plural = need.resource.plural
        what = f"{plural}/{need.subresource}" if need.subresource else plural
        verbs.setdefault((need.resource.group, what, need.name), set()).add(need.verb)
    # The same verbs on several objects of one kind, and on several kinds without names, are one rule.
    named: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    plain: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, what, name), asked in sorted(verbs.items()):
        ordered = tuple(sorted(asked, key=_rank))
        if name:
            named.setdefault((group, what, ordered), []).append(name)
        else:
            plain.setdefault((group, ordered), []).append(what)
    made = [_rule(group, kinds, ordered) for (group, ordered), kinds in plain.items()]
    for (group, what, ordered), names in named.items():
        made.append({**_rule(group, [what], ordered), "resourceNames": names})
    return sorted(made, key=lambda r: (r["apiGroups"], r["resources"], r["verbs"]))


def _rule(group: str, kinds: Sequence[str], verbs: Sequence[str]) -> Manifest:
    return {"apiGroups": [group], "resources": list(kinds), "verbs": list(verbs)}


def _rank(verb: str) -> tuple[int, str]:
    return (_ORDER.index(verb) if verb in _ORDER else len(_ORDER), verb)


def table(rows: Iterable[tuple[Need, Sequence[str]]]) -> list[str]:
    """Lines of a table: verbs, resource, names, where, and what for."""
    merged: dict[tuple[str, str, str], tuple[set[str], dict[str, None]]] = {}
    for need, activities in rows:
        key = (need.where, need.what, need.name)
        asked, names = merged.setdefault(key, (set(), {}))
        asked.add(need.verb)
        names.update(dict.fromkeys(activities))
    cells = [("VERBS", "RESOURCE", "NAME", "WHERE", "FOR")]
    for (where, what, name), (found, names) in sorted(merged.items()):
        shown = ",".join(sorted(found, key=_rank))
        cells.append((shown, what, name or "*", where, ", ".join(names)))
    widths = [max(len(row[column]) for row in cells) for column in range(4)]
    return [
        "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[4]])
        for row in cells
    ]


def as_yaml(documents: Sequence[Manifest], notes: Sequence[str] = ()) -> str:
    """Documents one after the other; ``notes`` as comments before them."""
    import yaml

    comments = "".join(f"# {note}\n" for note in notes)
    parts = [
        yaml.safe_dump(one, sort_keys=False, allow_unicode=True, default_flow_style=None)
        for one in documents
    ]
    return comments + "---\n".join(parts)
