"""The top of a file: every key of an experiment, and of a file that is just a list of SLOs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sloguard.documents.tree import Node, shown
from sloguard.spec import scalars as s
from sloguard.spec.activities import CONTROLS, ActivityOrRef
from sloguard.spec.alerts import ALERTS
from sloguard.spec.approval import APPROVAL
from sloguard.spec.backlog import IDS
from sloguard.spec.budget import BUDGET, BudgetedSlos
from sloguard.spec.errors import Reader
from sloguard.spec.providers import PROVIDER
from sloguard.spec.shapes import Anything, Json, Key, ListOf, MappingOf, late
from sloguard.spec.slo_entries import SLOS
from sloguard.spec.slos import GUARDS, PHASES
from sloguard.spec.tables import Table

_TYPE = Key("type", s.TEXT, "Where the value comes from.", required=True)

ENV = Table(
    "from-environment",
    "A value out of an environment variable.",
    (
        _TYPE,
        Key("key", s.TEXT, "Name of the environment variable.", required=True,
            mistaken=("name", "env", "variable", "var")),
        Key("default", Anything(), "Value where the variable is not set."),
        Key("env_var_type", s.ENV_TYPE, "Type that the text is turned into.", nullable=True),
    ),
    open=True,
)  # fmt: skip

CONFIGURATION_PROBE = Table(
    "from-probe",
    "A value that a probe finds out when a run begins: what a function returns, what a process "
    "prints, the body of an HTTP answer.",
    (
        _TYPE,
        Key("name", s.LOOSE_TEXT, "Name of the probe.", nullable=True),
        Key("provider", PROVIDER, "How the probe is called.", required=True),
    ),
    open=True,
)

SECRET_ENV = Table(
    "secret-from-environment",
    "A secret out of an environment variable.",
    (_TYPE, Key("key", s.TEXT, "Name of the environment variable.", required=True,
                mistaken=("name", "env", "variable", "var"))),
    open=True,
)  # fmt: skip


@dataclass(frozen=True)
class Section:
    """``configuration`` or ``secrets``: resolved by ``spec.variables``, which checks the entries."""

    expected: str
    entry: Json
    named: dict[str, Table]

    def read(self, node: Node, path: str, reader: Reader) -> Any:
        if not node.is_mapping:
            return reader.problem(node, path, f"found {shown(node)}", self.expected)
        return {}

    def schema(self, defs: Json) -> Json:
        typed = [
            {
                "if": {
                    "type": "object",
                    "properties": {"type": {"const": kind}},
                    "required": ["type"],
                },
                "then": table.schema(defs),
            }
            for kind, table in self.named.items()
        ]
        return {"type": "object", "additionalProperties": {**self.entry, "allOf": typed}}


CONFIGURATION = Section(
    "a mapping of names to values", {}, {"env": ENV, "probe": CONFIGURATION_PROBE}
)
SECRETS = Section("a mapping of groups of secrets", {}, {"env": SECRET_ENV})

HYPOTHESIS = Table(
    "steady-state-hypothesis",
    "What is true of the system while all is well: SLOs and probes.",
    (
        Key("title", s.LOOSE_TEXT, "The hypothesis in words.", required=True),
        Key("slos", SLOS, "SLOs, judged before, during and after the fault.",
            mistaken=("objectives", "slis")),
        Key("probes", ListOf(ActivityOrRef(hypothesis=True), "probes"),
            "Probes with a tolerance, asked before the method, after it while the fault is still there, "
            "and again once all is undone.", nullable=True),
        Key("controls", CONTROLS, "Controls around the hypothesis.", nullable=True),
    ),
    open=True,
    literal=True,
    whole=True,
    elsewhere=dict.fromkeys(("phases", "abort-when", "budget", "alerts", "approval", "method", "rollbacks"), "at the top level"),
)  # fmt: skip

RUNTIME = Table(
    "runtime",
    "Strategies, in the Chaos Toolkit's words.",
    (
        Key("hypothesis",
            Table("hypothesis-runtime", "When the hypothesis is judged.",
                  (Key("strategy", s.HYPOTHESIS_STRATEGY, "When the hypothesis is judged.",
                       nullable=True),
                   Key("frequency", s.PERIOD, "How long the probes rest between two looks under the fault; 1s.",
                       nullable=True),
                   Key("fail_fast", s.FLAG, "Whether the first look that is not met under the fault ends the method.",
                       nullable=True, mistaken=("fail-fast",))), open=True),
            "When the hypothesis is judged.", nullable=True),
        Key("rollbacks",
            Table("rollbacks-runtime", "When rollbacks are carried out.",
                  (Key("strategy", s.ROLLBACK_STRATEGY, "When rollbacks are carried out.",
                       nullable=True),), open=True),
            "When rollbacks are carried out: always, but with --compat. What sloguard itself injects is always undone.", nullable=True),
    ),
    open=True,
)  # fmt: skip

EXTENSION = Table(
    "extension",
    "Data of an extension of the Chaos Toolkit.",
    (Key("name", late(s.TEXT), "Name of the extension.", required=True),),
    open=True,
)

_TITLE = Key("title", s.LOOSE_TEXT, "What the experiment shows, in a line.", required=True)
_DESCRIPTION = Key("description", s.LOOSE_TEXT, "Why, and what is expected.", required=True)
_TAGS = Key("tags", ListOf(s.TAG, "texts"), "Words to find the experiment by.", nullable=True,
            critical=False, mistaken=("labels",))  # fmt: skip
_CONFIGURATION = Key(
    "configuration", CONFIGURATION,
    "Values for ${name}: plain, from the environment (type: env), or from a probe (type: probe).",
    nullable=True, mistaken=("config", "vars", "variables"),
)  # fmt: skip
_SECRETS = Key(
    "secrets", SECRETS,
    "Groups of secrets, plain or from the environment (type: env). Their values are never shown.",
    nullable=True,
)  # fmt: skip
_PHASES = Key("phases", PHASES, "Lengths of the phases before, during and after the fault.",
              mistaken=("timeline", "durations"))  # fmt: skip
_ALERTS = Key("alerts", ALERTS, ALERTS.doc, nullable=True,
              mistaken=("alerting", "alert", "alert-expectations"))  # fmt: skip

EXPERIMENT = Table(
    "experiment",
    "A Chaos Toolkit experiment with sloguard's keys: phases, slos, abort-when, alerts, budget, backlog, approval.",
    (
        Key("version", Anything(), "Version of the experiment.", critical=False),
        _TITLE,
        _DESCRIPTION,
        _TAGS,
        Key("backlog", IDS, "The hypotheses of the backlog that a run of it tests, by their ids.",
            nullable=True, examples=("one-replica-lost",),
            mistaken=("hypotheses", "backlog-id", "hypothesis-id", "tests")),
        Key("contributions", MappingOf(Anything(), "contributions"),
            "What the experiment contributes to (reliability, availability …).", nullable=True,
            critical=False),
        _CONFIGURATION,
        _SECRETS,
        _PHASES,
        Key("steady-state-hypothesis", HYPOTHESIS, HYPOTHESIS.doc, nullable=True,
            mistaken=("hypothesis", "steady-state", "steadystate", "ssh")),
        Key("abort-when", GUARDS, "Guard rails: the run is stopped and undone when one of them trips.",
            mistaken=("abort", "abort-if", "guards", "guard-rails", "guardrails", "stop-when")),
        _ALERTS,
        Key("budget", BUDGET, BUDGET.doc, mistaken=("error-budget", "budgets", "slo-budget")),
        Key("approval", APPROVAL, APPROVAL.doc, mistaken=("approvals", "approve", "approved-by")),
        Key("method", ListOf(ActivityOrRef(), "activities"),
            "Actions and probes, carried out in this order. May be empty.", required=True,
            mistaken=("steps", "actions", "activities")),
        Key("rollbacks", ListOf(ActivityOrRef(), "activities"),
            "Actions that undo what the method did; always carried out.", nullable=True,
            mistaken=("undo",)),
        Key("controls", CONTROLS, "Controls around everything.", nullable=True),
        Key("runtime", RUNTIME, RUNTIME.doc, nullable=True, critical=False),
        Key("extensions", ListOf(EXTENSION, "extensions, each with a name"),
            "Data of extensions.", nullable=True, critical=False),
        Key("dry", Anything(), "Unused in a file; see --dry-run.", critical=False),
    ),
    open=True,
    literal=True,
    whole=True,
    elsewhere=dict.fromkeys(("slos", "probes"), "under 'steady-state-hypothesis'"),
    rules=(BudgetedSlos(),),
)  # fmt: skip

SLO_FILE = Table(
    "slo-file",
    "A list of SLOs alone, to judge any window with.",
    (
        Key("slos", SLOS, "The SLOs.", required=True),
        replace(_TITLE, required=False),
        replace(_DESCRIPTION, required=False),
        _TAGS,
        _CONFIGURATION,
        _SECRETS,
        _PHASES,
        _ALERTS,
    ),
    literal=True,
    whole=True,
)
