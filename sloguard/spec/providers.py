"""How an activity is called, in the Chaos Toolkit's words: python, process and http providers."""

from __future__ import annotations

from sloguard.spec import scalars as s
from sloguard.spec.shapes import Anything, ByType, Key, ListOf, MappingOf, Tagged, late
from sloguard.spec.tables import Table

_TYPE = Key("type", s.TEXT, "How the activity is called: python, process or http.", required=True)
_GROUPS = Key(
    "secrets",
    ListOf(s.TEXT, "names of groups of secrets"),
    "Groups of 'secrets' that the function gets as its argument 'secrets'.",
    nullable=True,
    mistaken=("secret",),
)
_TEXT = late(s.TEXT)
_TIME = "Longest time in seconds."

PYTHON = Table(
    "python-provider",
    "A function of an importable Python module.",
    (
        _TYPE,
        Key("module", _TEXT, "Dotted name of the module.", required=True,
            examples=("sloguard.faults.processes",)),
        Key("func", _TEXT, "Name of the function in the module.", required=True,
            mistaken=("function", "method"), examples=("stop",)),
        Key("arguments",
            ByType("a mapping of arguments", s.variable_for("a mapping of arguments"), mapping=MappingOf(Anything(), "arguments")),
            "Arguments of the function by name.", nullable=True, mistaken=("args", "params")),
        _GROUPS,
    ),
    open=True,
)  # fmt: skip

PROCESS = Table(
    "process-provider",
    "An executable. A text of arguments goes through the shell; a list does not.",
    (
        _TYPE,
        Key("path", _TEXT, "Path or name of the executable.", required=True,
            mistaken=("command", "cmd", "executable")),
        Key("arguments",
            ByType("a text (through the shell), a list or a mapping of arguments",
                   scalar=s.ARGUMENTS_TEXT, list=ListOf(Anything(), "arguments"),
                   mapping=MappingOf(Anything(), "arguments")),
            "Arguments: a text, a list, or a mapping of options to values.", nullable=True,
            mistaken=("args", "argv")),
        Key("timeout", late(s.DURATION_NUMBER), _TIME, nullable=True, mistaken=("deadline",)),
        _GROUPS,
    ),
    open=True,
)  # fmt: skip

HTTP = Table(
    "http-provider",
    "An HTTP request.",
    (
        _TYPE,
        Key("url", _TEXT, "Address of the request.", required=True, mistaken=("uri", "endpoint")),
        Key("method", _TEXT, "HTTP method.", nullable=True, default="GET"),
        Key("headers",
            ByType("a mapping of headers", s.variable_for("a mapping of headers"), mapping=MappingOf(Anything(), "headers")),
            "Headers by name.", nullable=True),
        Key("arguments", Anything(), "Parameters of a GET; body of any other method.",
            nullable=True, mistaken=("body", "data", "params", "args")),
        Key("timeout",
            ByType("a number of seconds, or [connect, read]", late(s.DURATION_NUMBER),
                   list=ListOf(late(s.DURATION_NUMBER), "two numbers of seconds", length=2)),
            f"{_TIME} Two of them: until connected, and between bytes.", nullable=True),
        Key("verify_tls",
            late(s.FLAG_OR_PATH),
            "Whether the certificate is checked; or the path of a CA bundle.", nullable=True,
            default=True, mistaken=("verify",)),
        Key("max_retries", late(s.WHOLE), "How often a failed connection is tried again.",
            nullable=True, default=0, mistaken=("retries",)),
        _GROUPS,
    ),
    open=True,
)  # fmt: skip

PROVIDER = Tagged("a provider", {"python": PYTHON, "process": PROCESS, "http": HTTP})
