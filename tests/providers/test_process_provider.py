"""Programs as activities, real ones: their output, their end, and what becomes of their children."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sloguard.host.identity import identify
from sloguard.host.marks import ACTIVITY, RUN, processes_of
from sloguard.host.signals import end
from sloguard.providers.calls import check, failed_action
from sloguard.providers.capture import Kept, decode
from sloguard.providers.process import GRACE, command_of
from sloguard.providers.result import LOOK
from tests.support.calling import carry_out, eventually, stopped_when
from tests.support.patience import SOON


def process(path: str, arguments: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "process", "path": path, "arguments": arguments, **more}


def python(code: str, **more: Any) -> dict[str, Any]:
    return process(sys.executable, ["-c", code], **more)


def marks(name: str) -> dict[str, str]:
    return {RUN: f"test-{os.getpid()}-{name}", ACTIVITY: "method[0]"}


def test_output_is_status_stdout_and_stderr() -> None:
    result = carry_out(
        python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    )
    assert result.output == {"status": 3, "stdout": "out\n", "stderr": "err\n"}
    assert result.error is None


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ("$((1+2)) | tr 3 4", "4\n"),  # a text goes through the shell
        (["$((1+2))", "a b", 5, None, ""], "$((1+2)) a b 5\n"),
        ({"-n": None, "x": 1}, "x 1"),
        (None, "\n"),
        ([], "\n"),
    ],
)
def test_forms_of_arguments(arguments: Any, printed: str) -> None:
    assert carry_out(process("/bin/echo", arguments)).output["stdout"] == printed


def test_the_path_may_hold_blanks_and_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "my script.sh"
    script.write_text('#!/bin/sh\necho "$1"\n')
    script.chmod(0o755)
    assert carry_out(process(str(script), "hello")).output["stdout"] == "hello\n"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert carry_out(process("~/my script.sh", ["home"])).output["stdout"] == "home\n"
    monkeypatch.chdir(tmp_path)
    assert carry_out(process("./my script.sh", ["here"])).output["stdout"] == "here\n"


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        (process("slepe", ["1"]), "no program 'slepe' on the PATH; did you mean 'sleep'?"),
        (process("sleep 1"), "give the program alone in path"),
        (process("/nowhere/x"), "no program '/nowhere/x'"),
        (process("/tmp/"), "is a directory"),
        (process("/etc/passwd"), "is not executable"),
        (process(""), "path: expected the program"),
        (process("echo", 5), "arguments: expected a text (for the shell), a list or a mapping"),
        (process("echo", timeout=-1), "timeout: expected a duration of 0 or more"),
    ],
)
def test_what_cannot_be_started(provider: dict[str, Any], expected: str) -> None:
    result = carry_out(provider)
    assert expected in str(result.error)
    assert result.output is None
    assert check(provider) == result.error


def test_a_file_that_is_no_program(tmp_path: Path) -> None:
    script = tmp_path / "noise"
    script.write_bytes(b"\x7fELFnoise")
    script.chmod(0o755)
    assert "cannot be started: Exec format error" in str(carry_out(process(str(script))).error)


def test_environment_and_working_directory() -> None:
    code = "import os,json; print(json.dumps([os.getcwd(), os.environ['A'], os.environ['PATH']]))"
    printed = carry_out(python(code), environment={"A": "b"}).output["stdout"]
    assert json.loads(printed) == [os.getcwd(), "b", os.environ["PATH"]]


def test_standard_input_is_empty() -> None:
    assert carry_out(process("cat")).output == {"status": 0, "stdout": "", "stderr": ""}


def test_much_output_on_both_pipes_neither_blocks_nor_fills_the_memory() -> None:
    code = (
        "import sys\n"
        "for i in range(3000):\n"
        "    sys.stdout.write('o' * 1000); sys.stderr.write('e' * 1000)\n"
        "sys.stdout.write('LAST')"
    )
    output = carry_out(python(code)).output
    assert output["status"] == 0
    for name, total in (("stdout", 3_000_004), ("stderr", 3_000_000)):
        assert f"[… {total - (1 << 20)} bytes left out]" in output[name]
        assert len(output[name]) < (1 << 20) + 100
    assert output["stdout"].endswith("oLAST")


def test_kept_keeps_the_beginning_and_the_end() -> None:
    for size in range(40):
        data = bytes(65 + i % 26 for i in range(size))
        for cut in (1, 3, 50):
            kept = Kept(head=5, tail=4)
            for i in range(0, size, cut):
                kept.add(data[i : i + cut])
            text = data.decode()
            expected = text if size <= 9 else f"{text[:5]}[… {size - 9} bytes left out]{text[-4:]}"
            assert kept.text() == expected


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        ("naïve — 日本".encode(), "naïve — 日本"),
        ("Ein schöner Tag für Äpfel und Öl, für große Füße".encode("latin-1"), None),
        (b"\xff\xfe\x00\x01\x80", None),
        (b"a\0b", "a\\x00b"),
    ],
)
def test_any_bytes_become_text(data: bytes, text: str | None) -> None:
    found = decode(data)
    assert "\0" not in found
    found.encode("utf-8")
    if text is not None:
        assert found == text


def test_a_daemon_that_holds_the_pipe_does_not_hold_us_and_lives_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    go = tmp_path / "go"
    # It writes to the pipe after the program has ended and nobody reads: that must not kill it.
    late = f"until test -e {go}; do sleep 0.1; done; echo late; echo late; echo survived > {log}"
    daemon = f"(setsid sh -c '{late}; sleep 60' &) ; echo up"
    around = marks("daemon")
    result = carry_out(process("sh", ["-c", daemon]), environment=around)
    assert result.output == {"status": 0, "stdout": "up\n", "stderr": ""}
    try:
        go.touch()
        eventually(lambda: log.exists() and log.read_text() == "survived\n")
        assert processes_of(around[RUN], around[ACTIVITY])
    finally:
        end(processes_of(around[RUN]))


def test_stop_ends_the_whole_group(tmp_path: Path) -> None:
    around = marks("group")
    command = "sleep 61 & sleep 62 & (setsid sleep 63 &) ; wait"
    result = stopped_when(
        process("sh", ["-c", command]),
        lambda: len(processes_of(around[RUN])) == 4,
        environment=around,
    )
    assert result.aborted
    assert result.output["status"] == -signal.SIGTERM
    assert processes_of(around[RUN]) == []


def test_what_ignores_sigterm_is_killed_after_the_grace() -> None:
    around = marks("stubborn")
    # The shell is up at once; what it ignores, its children ignore as well.
    deaf = process("sh", ["-c", "trap '' TERM; echo deaf; sleep 120"], timeout=1)
    began = time.monotonic()
    result = carry_out(deaf, environment=around)
    took = time.monotonic() - began
    assert result.output == {"status": -signal.SIGKILL, "stdout": "deaf\n", "stderr": ""}
    assert (result.error, result.unreachable, result.aborted) == (
        "timed out after 1s",
        True,
        False,
    )
    assert 1 + GRACE <= took < SOON


def test_a_program_may_clean_up_when_stopped() -> None:
    careful = "trap 'echo undone; exit 0' TERM; echo up; sleep 120 & wait"
    result = carry_out(process("sh", ["-c", careful], timeout="1s"))
    assert result.output["stdout"] == "up\nundone\n"
    assert result.error == "timed out after 1s"


def test_a_killed_sloguard_leaves_marked_processes_that_another_one_finds() -> None:
    around = marks("killed")
    code = (
        "import threading\n"
        "from sloguard.providers.calls import call\n"
        "call({'type': 'process', 'path': 'sleep', 'arguments': ['64']}, configuration={}, secrets={},"
        f" stop=threading.Event(), environment={around!r})"
    )
    killed = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": "."})
    found = eventually(lambda: processes_of(around[RUN], around[ACTIVITY]))
    killed.kill()
    killed.wait()
    assert [i.name for i in processes_of(around[RUN])] == ["sleep"]
    assert end(found) == found
    assert processes_of(around[RUN]) == []


def test_a_short_program_is_not_waited_for_long() -> None:
    def took() -> float:
        began = time.monotonic()
        carry_out(process("/bin/true"))
        return time.monotonic() - began

    # Of many the quickest says what is waited for in any case: less than one look.
    assert min(took() for _ in range(20)) < LOOK


def test_nothing_is_left_open() -> None:
    carry_out(process("/bin/true"))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        carry_out(process("/bin/echo", ["x"]))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("pass", None),
        (
            "import sys; print('first\\nlast words\\n', file=sys.stderr); sys.exit(2)",
            "exit code 2: last words",
        ),
        ("import sys; sys.exit(1)", "exit code 1"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
    ],
)
def test_an_exit_code_fails_an_action(code: str, reason: str | None) -> None:
    provider = python(code)
    assert failed_action(provider, carry_out(provider).output) == reason


def test_same_command_as_the_chaos_toolkit_runs() -> None:
    chaoslib = pytest.importorskip("chaoslib.provider.process")
    cases: list[Any] = ["-n hi", "", ["a", "b c"], {"-n": "", "k": 2}, [], ["", None, 0, True]]
    for arguments in cases:
        provider = process("/bin/echo", arguments)
        theirs = chaoslib.run_process_activity({"name": "x", "provider": provider}, {}, {})
        assert carry_out(provider).output == theirs, arguments
    assert command_of(process("echo", {"--flag": None}))[0][1:] == ["--flag"]
    assert identify(os.getpid())
