"""What PromQL's functions are, as far as this room has to know."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


AGGREGATIONS = _words(
    "sum avg count min max group stddev stdvar topk bottomk count_values quantile limitk limit_ratio"
)

#: Keep series as they are and drop the others: who is in changes from point to point.
RANKINGS = _words("topk bottomk limitk limit_ratio")

#: Of counters: they need two samples, and take a reset for a restart.
COUNTER_FUNCTIONS = _words("rate irate increase xrate xincrease")

#: Take a range vector and answer nothing, or noise, from too few samples.
SAMPLE_HUNGRY = COUNTER_FUNCTIONS | _words(
    "delta idelta xdelta deriv predict_linear changes resets holt_winters double_exponential_smoothing "
    "avg_over_time sum_over_time quantile_over_time stddev_over_time stdvar_over_time mad_over_time "
    "min_over_time max_over_time"
)

RANGE_FUNCTIONS = SAMPLE_HUNGRY | _words(
    "absent_over_time count_over_time first_over_time last_over_time present_over_time "
    "ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time ts_of_min_over_time"
)

ABSENT = _words("absent absent_over_time")

#: Answer something else than the series they are given, which therefore say nothing of the answer's.
OPAQUE = ABSENT | _words(
    "vector scalar histogram_quantile histogram_quantiles histogram_fraction info"
)

_OTHERS = _words(
    "abs absent acos acosh asin asinh atan atanh ceil clamp clamp_max clamp_min cos cosh day_of_month "
    "day_of_week day_of_year days_in_month deg end exp floor histogram_avg histogram_count "
    "histogram_fraction histogram_quantile histogram_quantiles histogram_stddev histogram_stdvar "
    "histogram_sum hour info label_join label_replace ln log10 log2 max_of min_of minute month pi rad "
    "range round scalar sgn sin sinh sort sort_by_label sort_by_label_desc sort_desc sqrt start step "
    "tan tanh time timestamp vector year"
)

#: All names, for suggestions only: what a query may call is the parser's to say.
KNOWN = tuple(sorted(RANGE_FUNCTIONS | _OTHERS))
