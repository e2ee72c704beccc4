"""The demo's story: four experiments that end differently, each told before and after.

``demonstrate`` is the whole of ``sloguard demo``; ``tour`` and ``hold`` are its halves for a demo that runs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from sloguard.core.model import EXIT_CODES, EXIT_FAILED, Outcome
from sloguard.demo.environment import Demo, DemoError, importable

#: Runs one experiment file with these variables added to the environment and returns the exit code of
#: ``sloguard run``. It prints the verdict itself. Raises KeyboardInterrupt if the run was interrupted.
RunOne = Callable[[Path, Mapping[str, str]], int]
Out = Callable[[str], None]

#: The experiments' `before` and a little more: the history that they read has to be quiet.
QUIET = 12.0

#: How often an experiment may find the shop not well before it breaks anything.
CHANCES = 3

#: How long an interrupted run may take to undo its faults, in seconds.
_UNDOING = 15.0


@dataclass(frozen=True, slots=True)
class Stop:
    """One experiment of the tour."""

    file: str
    title: str
    expected: Outcome
    before: str
    after: str


STOPS = (
    Stop(
        "replica-killed-with-retries.yaml",
        "A replica dies, and nobody notices",
        Outcome.MET,
        "Checkout runs as three replicas behind Envoy. We kill one with SIGKILL. Envoy tries a failed request again "
        "on another replica, and after 5 s the shop starts a new one, as a Deployment would. If all goes well, no "
        "customer sees an error.",
        "met: before, during and after the fault every service kept what the file promises, and Prometheus has the "
        "samples to prove it. That the replica count fell to 2 is no breach: the file allows it while the fault "
        "lasts.",
    ),
    Stop(
        "replica-killed-without-retries.yaml",
        "The same fault without the safety net",
        Outcome.DEVIATED,
        "The same replica dies, but first we switch Envoy's retries off. One request in three now meets a dead "
        "replica until a new one is up.",
        "deviated: a weakness was found, and that is what the experiment is for. Read the reason: a number against "
        "a number, with its time and the service it belongs to. Only front breached; checkout itself answered "
        "nothing wrong, which is why every series is judged by itself. The first run was no luck then: the "
        "retries are what keeps the promise.",
    ),
    Stop(
        "delay.yaml",
        "The way to checkout becomes slow",
        Outcome.DEVIATED,
        "Envoy holds one order in ten back for three seconds. Nothing fails, and the average is far below the promised 2.5 s. The "
        "objective speaks of the 99th percentile. The file also says which alert has to tell of it, and which must not.",
        "deviated again, and this time `after` tells something too: the shop was not well at once when the delay "
        "was taken away, because orders that were held back still had to end. The time to recover is known to within "
        "the 5 s over which the rates look back; the JSON of a run has both ends of that span. And the alerting did its "
        "part: CheckoutSlow fired, and was over, in the time that the file gives it, while a silence in Alertmanager kept it "
        "from waking anybody up.",
    ),
    Stop(
        "abort-guarded.yaml",
        "Half of all orders fail, and a guard rail steps in",
        Outcome.ABORTED,
        "Now one that goes too far: every second order fails, for 30 s. The file also has a guard rail: if a quarter "
        "or more of the customers are hit for 3 s, stop.",
        "aborted: the guard rail saw it live, ended the fault long before its 30 s were over, and the rollback made "
        "Envoy forget it. An experiment may find out what hurts; it may not become the outage.",
    ),
)


def experiments() -> Path:
    """Where the demo's experiment files are: in the package, or in a clone."""
    here = Path(__file__).resolve()
    for place in (here.parent / "experiments", here.parents[2] / "experiments" / "demo"):
        if place.is_dir():
            return place
    raise DemoError("the demo's experiment files are missing; install sloguard again")


def demonstrate(
    run_one: RunOne,
    out: Out,
    *,
    keep: bool = False,
    tell: bool = True,
    directory: Path | None = None,
) -> int:
    """Start the demo, give the tour (if ``tell``), leave it up until Ctrl-C (if ``keep``), remove all.

    Returns 0 if every experiment ended as expected, 1 if not, 128 + the signal's number if SIGINT,
    SIGTERM or SIGHUP ended it early; Ctrl-C while it is kept is its ordinary end. Raises DemoError.
    """
    code = 0
    touring = True
    demo = Demo(directory)
    with _signals_interrupt() as received:
        try:
            demo.start(lambda message: out(f"  … {message}"))
            if tell:
                code = tour(demo, run_one, out)
            touring = False
            if keep:
                hold(demo, out)
        except KeyboardInterrupt:
            if touring:
                code = 128 + (received[0] if received else signal.SIGINT)
        finally:
            demo.stop()
        out("The demo has ended; its processes and its directory are gone.")
    return code


def tour(demo: Demo, run_one: RunOne, out: Out, stops: Sequence[Stop] = STOPS) -> int:
    """Run the experiments one after the other; returns 0 if each ended as expected, else 1."""
    _introduce(out, len(stops))
    place = experiments()
    results = []
    for number, stop in enumerate(stops, start=1):
        file = place / stop.file
        out("")
        out(f"── {number}/{len(stops)}  {stop.title} " + "─" * max(0, 70 - len(stop.title)))
        _say(out, stop.before)
        out(f"  expected: {stop.expected} (exit code {EXIT_CODES[stop.expected]})")
        code = _run_in_a_well_shop(demo, run_one, out, file)
        as_expected = code == EXIT_CODES[stop.expected]
        results.append((stop, code, as_expected))
        if as_expected:
            _say(out, stop.after)
        else:
            _say(
                out,
                f"This is not what was expected: {_named(code)} instead of {stop.expected}. The reason above says why.",
            )
    _conclude(out, results)
    return 0 if all(ok for _, _, ok in results) else EXIT_FAILED


def _run_in_a_well_shop(demo: Demo, run_one: RunOne, out: Out, file: Path) -> int:
    """The exit code of ``sloguard run``. What did not start, since the machine had just been too busy for
    the shop to be well, is tried again, as anybody would."""
    for chance in range(CHANCES):
        if chance:
            _say(out, "Nothing was broken in a shop that was not well. So once more, when it is.")
        _settle(demo, out)
        out(f"  $ sloguard run {_shown(file)}")
        out("")
        code = run_one(file, demo.environment)
        out("")
        if code != EXIT_CODES[Outcome.NOT_STARTED]:
            break
    return code


def hold(demo: Demo, out: Out) -> None:
    """Print what is there and what to try, and wait; ends with KeyboardInterrupt only, or a DemoError."""
    at = demo.addresses
    admin, place = at["envoy_admin"], _shown(experiments())
    _settle(demo, out)  # what is printed here can be tried at once
    out("")
    out("The demo stays up until Ctrl-C.")
    out("")
    for name, path in (
        ("front", "/order"),
        ("prometheus", ""),
        ("alertmanager", ""),
        ("envoy_admin", ""),
    ):
        out(f"  {name:<14}{at[name]}{path}")
    out("")
    out("To try in another terminal, after this line, which tells it where everything is:")
    out("")
    for line in (
        f". {demo.directory}/env",
        "",
        f"sloguard run {place}/delay.yaml",
        f"curl -i {at['front']}/order",
        f"kill -9 $(head -1 {demo.directory}/checkout.pids)        # a replica dies; back in 5 s",
        f"curl -X POST '{admin}/runtime_modify?upstream.use_retry=0'        # no retries; =100 again",
        f"curl -X POST '{admin}/runtime_modify?fault.http.abort.abort_percent=20'        # errors; =0 none",
        f"curl -X POST '{admin}/runtime_modify?fault.http.delay.fixed_delay_percent=5'        # slow; =0 quick",
        f"curl -s {at['alertmanager']}/api/v2/alerts",
    ):
        out(f"  {line}")
    out("")
    _say(
        out,
        "After a fault give the shop a quarter of a minute: the next run looks at what was before it, and breaks nothing in a shop that is not well.",
    )
    while True:
        demo.check()
        time.sleep(0.5)


def subprocess_runner(
    *options: str, command: Sequence[str] = (sys.executable, "-m", "sloguard", "run")
) -> RunOne:
    """A ``RunOne`` that starts ``sloguard run FILE OPTIONS`` and lets it write to this terminal.

    Interrupted, it interrupts the run, once, and gives it time to undo its faults.
    """

    def run_one(file: Path, environment: Mapping[str, str]) -> int:
        child = subprocess.Popen(
            [*command, str(file), *options],
            stdin=subprocess.DEVNULL,
            env=importable({**os.environ, **environment}),
            process_group=0,  # one Ctrl-C is to arrive once: from here
        )
        try:
            return child.wait()
        except BaseException:
            child.send_signal(signal.SIGINT)
            try:
                child.wait(_UNDOING)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            raise

    return run_one


def _settle(demo: Demo, out: Out) -> None:
    out(f"  … until the shop has been well for {QUIET:g} s")
    demo.settle(QUIET)


def _introduce(out: Out, count: int) -> None:
    out("")
    _say(
        out,
        f"A small shop is running: front, three replicas of checkout behind Envoy, and stock, with a steady load of "
        f"customers, watched by Prometheus every second. {count} experiments follow. Each breaks something real and "
        f"says with numbers whether the shop kept its promises.",
    )


def _conclude(out: Out, results: Sequence[tuple[Stop, int, bool]]) -> None:
    out("")
    out("── What we saw " + "─" * 63)
    for stop, code, as_expected in results:
        mark = "as expected" if as_expected else f"expected {stop.expected}"
        out(f"  {_named(code):<28}{stop.title}  [{mark}]")
    out("")


def _say(out: Out, text: str) -> None:
    for line in textwrap.wrap(text, 84):
        out(f"  {line}")


def _named(code: int) -> str:
    outcome = next((o for o, c in EXIT_CODES.items() if c == code), None)
    return f"{outcome or 'no verdict'} (exit code {code})"


def _shown(path: Path) -> str:
    """As short as it can be typed from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


@contextmanager
def _signals_interrupt() -> Iterator[list[int]]:
    """SIGTERM and SIGHUP end the demo as Ctrl-C does; yields the numbers of the signals that came."""
    received: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield received  # only the main thread may say what signals do; there its caller decides
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    kept = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
