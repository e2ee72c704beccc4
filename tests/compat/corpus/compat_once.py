"""A probe that answers once."""

import compat_functions


def only_once() -> int:
    """The first call gives 1, every later one raises."""
    if compat_functions.asked() > 1:
        raise ValueError("not again")
    return 1


def then_refused() -> int:
    """The first call gives 1, every later one finds nobody there."""
    if compat_functions.asked() > 1:
        raise ConnectionRefusedError(111, "Connection refused")
    return 1
