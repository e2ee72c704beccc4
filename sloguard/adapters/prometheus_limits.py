"""What Prometheus, Thanos, Mimir and VictoriaMetrics say when they are asked for more than they will do.

Each kind of limit in their own words (as in their documentation and sources), and what helps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """A kind of limit. ``helps``: for people. ``shorter``: half the window may be answered."""

    words: re.Pattern[str]
    helps: str
    shorter: bool = False


def _limit(words: str, helps: str, *, shorter: bool = False) -> Limit:
    return Limit(re.compile(words, re.IGNORECASE), helps, shorter)


#: The server has too much to do, whatever is asked: not the query's fault.
_BUSY = re.compile(
    r"too many outstanding requests|couldn't start executing the request|request rate limit"
    r"|tenant-max-request-rate|ingester-max-inflight-read-requests|too many requests|queue is full"
    r"|concurrency limit|too many (concurrent )?(queries|connections)",
    re.IGNORECASE,
)

_SERIES = "select fewer series: more matchers, or an aggregation by fewer labels"
_WINDOW = "the window was cut as far as it can be; use a shorter lookback in the query, or raise the limit"
#: The first whose words are found is meant.
LIMITS = (
    _limit(
        r"exceeded maximum resolution|too many points for the given|maxPointsPerTimeseries",
        "set prometheus.max_points to what the server answers, or use a larger step",
        shorter=True,
    ),
    _limit(
        r"max-(total-)?query-length|query time range exceeds the limit|query length",
        _WINDOW,
        shorter=True,
    ),
    _limit(
        r"would load too many samples|maxSamplesPerQuery|maxSamplesPerSeries|samples limit"
        r"|max-(estimated-)?chunks-per-query|max-chunks-bytes-per-query|chunk bytes",
        "ask for fewer series, a shorter window or a larger step",
        shorter=True,
    ),
    _limit(
        r"max-estimated-memory-consumption|not enough memory|maxMemoryPerQuery|bytes limit",
        "ask for fewer series, a shorter window or a larger step",
        shorter=True,
    ),
    _limit(
        r"max-series-per-query|maxUniqueTimeseries|maxSeries|maxResponseSeries|series limit"
        r"|number of matching (time)?series exceeds|maximum number of series|cannot select more than"
        r"|too many (time ?)?series",
        _SERIES,
    ),
    _limit(
        r"max-query-expression-size|maxQueryLen|too long query",
        "the query itself is too long: put a part of it into a recording rule",
    ),
    _limit(
        r"query timed out|maxQueryDuration|timeout exceeded|context deadline exceeded",
        "the query takes too long: ask for fewer series, a shorter window or a larger step, "
        "or put it into a recording rule",
    ),
    _limit(
        r"query-blocked|query-limited|blocked by",
        "the operator of this tenant does not allow the query",
    ),
    _limit(
        r"exceed|limit reached|err-mimir-max",
        "ask for fewer series, a shorter window or a larger step",
    ),
)


def is_busy(status: int, text: str) -> bool:
    """Whether an answer says that too much is asked at once, so that the same may be answered later."""
    if status == 429:
        # Some proxies give it for what a query costs; that does not get better by waiting.
        found = limit_of(text)
        return bool(_BUSY.search(text)) or found is None
    return status in (422, 503) and bool(_BUSY.search(text))


def limit_of(text: str) -> Limit | None:
    """The limit that a text speaks of, where it does."""
    return next((limit for limit in LIMITS if limit.words.search(text)), None)


def shorter_helps(text: str) -> bool:
    """Whether a part of the window may be answered where all of it is not."""
    found = limit_of(text)
    return found is not None and found.shorter
