"""Run a command against a double that is as late as a real cluster, and shared by all that the command starts.

    python -m tests.fakes.kubernetes [--minor 31] -- python -m pytest -m cluster -n 2 --dist loadfile

The command finds its kubeconfig in SLOGUARD_TEST_KUBECONFIG, as for a real cluster: a rehearsal of that.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fakes.kubernetes.controllers import Lag
from tests.fakes.kubernetes.server import KubernetesDouble
from tests.support.certificates import make_certificates


def main() -> int:
    """The exit code is the command's."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.fakes.kubernetes")
    parser.add_argument("--minor", type=int, default=36, help="its version, 1.x")
    parser.add_argument("--unattended", action="store_true", help="no scheduler, nobody simulates")
    parser.add_argument("--unverified", action="store_true", help="the kubeconfig skips TLS checks")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    command = [word for word in options.command if word != "--"]
    with tempfile.TemporaryDirectory() as folder:
        certificates = make_certificates(Path(folder))
        double = KubernetesDouble(lag=Lag(), minor=options.minor, certificates=certificates)
        if options.unattended:
            double.controllers.starts = double.controllers.ends = False
            double.controllers.attended = False
        with double:
            config = Path(folder) / "kubeconfig"
            double.kubeconfig(config, verified=not options.unverified)
            environment = {**os.environ, "SLOGUARD_TEST_KUBECONFIG": str(config)}
            return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
