"""What OpenSLO v1 allows, as tables; what of it sloguard cannot do is refused by name."""

from __future__ import annotations

from sloguard.core.service_levels import Budgeting
from sloguard.spec import values as v
from sloguard.spec.openslo_shapes import (
    DURATION,
    OPERATORS,
    Ignored,
    Plain,
    Texts,
    Unsupported,
    object_name,
    one_of,
    percent,
    plain_text,
    shorthand,
    slice_target,
    slice_window,
    target,
)
from sloguard.spec.shapes import Anything, Key, ListOf
from sloguard.spec.tables import Table

NAME = Plain(
    "letters, digits and - . | / \\, at most 255, with a letter or digit at both ends", object_name
)
TEXT = Plain("text", plain_text)
FLAG = Plain("true or false", v.flag)

METADATA = Table(
    "metadata",
    "Name and labels of an object.",
    (
        Key("name", NAME, "Name of the object.", required=True),
        Key("displayName", TEXT, "Name for people.", nullable=True),
        Key(
            "labels",
            Texts(lists=True),
            "Labels; those of an SLO are put on its alerts.",
            nullable=True,
        ),
        Key("annotations", Texts(), "Annotations.", nullable=True),
    ),
)
_SOURCE_SPEC = Table(
    "metric-source-spec",
    "What Prometheus is asked.",
    (Key("query", Plain("a PromQL query", v.query), "The PromQL query.", required=True,
         mistaken=("promql", "expr", "expression", "metric")),),
    open=True,
)  # fmt: skip
_SOURCE = Table(
    "metricSource",
    "Where values come from: Prometheus.",
    (
        Key("metricSourceRef", NAME, "Name of a DataSource.", nullable=True),
        Key("type", TEXT, "Type of the source: Prometheus.", nullable=True),
        Key("spec", _SOURCE_SPEC, "The query.", required=True),
    ),
)
_METRIC = Table(
    "metric",
    "One query.",
    (Key("metricSource", _SOURCE, "Where values come from.", required=True),),
)
_RATIO = Table(
    "ratioMetric",
    "good or bad with total, or raw with rawType.",
    (
        Key("counter", FLAG, "Whether the queries select counters.", nullable=True),
        Key("good", _METRIC, "The good events."),
        Key("bad", _METRIC, "The bad events."),
        Key("total", _METRIC, "All events."),
        Key("raw", _METRIC, "A ratio that is computed already."),
        Key("rawType", one_of("success", "failure"), "Of what the raw ratio is."),
    ),
)
SLI_SPEC = Table(
    "indicator-spec",
    "A ratioMetric or a thresholdMetric.",
    (
        Key("description", TEXT, "What is measured.", nullable=True),
        Key("ratioMetric", _RATIO, "A share of events."),
        Key("thresholdMetric", _METRIC, "Values to hold against a bound."),
    ),
)
_INDICATOR = Table(
    "indicator",
    "An indicator in its place.",
    (
        Key("metadata", METADATA, "Its name.", nullable=True),
        Key("spec", SLI_SPEC, "What is measured.", required=True),
    ),
)
_COMPOSITE = Unsupported(
    "SLOs that are composed of several indicators", "write an SLO for each indicator"
)
_OBJECTIVE = Table(
    "objective",
    "What is promised.",
    (
        Key("displayName", TEXT, "Name for people.", nullable=True),
        Key("op", one_of(*OPERATORS), "How a threshold's values compare with 'value'."),
        Key("value", Plain("a number", v.number()), "The bound of a threshold."),
        Key("target", Plain("a share between 0 and 1, such as 0.999", target), "Share of good that is promised."),
        Key("targetPercent", Plain("a percentage between 0 and 100, such as 99.9", percent),
            "The same in percent."),
        Key("timeSliceTarget", Plain("a share above 0 and at most 1", slice_target),
            "Share of good with which a slice of time is good."),
        Key("timeSliceWindow", Plain(f"{DURATION}, or a number of minutes", slice_window), "Length of a slice of time."),
        Key("indicator", _COMPOSITE, "Of a composite SLO."),
        Key("indicatorRef", _COMPOSITE, "Of a composite SLO."),
        Key("compositeWeight", _COMPOSITE, "Of a composite SLO."),
    ),
)  # fmt: skip
_TIME_WINDOW = Table(
    "timeWindow",
    "The period of the budget.",
    (
        Key("duration", Plain(DURATION, shorthand), "Length of the period.", required=True),
        Key("isRolling", FLAG, "Has to be true.", nullable=True),
        Key("calendar", Unsupported("periods that follow the calendar",
                                    "a rolling one: duration: 30d, isRolling: true"), "Start by the calendar."),
    ),
)  # fmt: skip
SLO_SPEC = Table(
    "slo-spec",
    "An SLO.",
    (
        Key("description", TEXT, "The SLO in words.", nullable=True),
        Key("service", TEXT, "The service that it is of.", nullable=True),
        Key("indicator", _INDICATOR, "The indicator itself."),
        Key("indicatorRef", NAME, "Name of an SLI."),
        Key("timeWindow", ListOf(_TIME_WINDOW, "one time window"), "The period of the budget."),
        Key("budgetingMethod", one_of(*Budgeting), "What is counted.", required=True),
        Key("objectives", ListOf(_OBJECTIVE, "objectives"), "What is promised.", required=True,
            mistaken=("objective",)),
        Key("alertPolicies", Ignored("it has no effect: the alerts are burn rates over several windows"),
            "Policies of alerting.", nullable=True),
    ),
)  # fmt: skip
DATA_SOURCE_SPEC = Table(
    "data-source-spec",
    "A source of data.",
    (
        Key("description", TEXT, "What it is.", nullable=True),
        Key("type", TEXT, "Its type.", required=True),
        Key(
            "connectionDetails",
            Anything(),
            "How it is reached; sloguard has settings for that.",
            nullable=True,
        ),
    ),
)
