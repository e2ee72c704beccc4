"""All benchmarks, one after the other: ratios, in one run on one machine.

python -m benchmarks [fetch] [cli] [charts] [web] [webhooks] [scale]
"""

from __future__ import annotations

import importlib
import sys

PARTS = {
    "fetch": "Fetching and judging, against Prometheus's own time (curl to /dev/null)",
    "cli": "The command line, against bare Python and the Chaos Toolkit",
    "charts": "Charts: time and memory",
    "web": "The service, against a bare Flask route on the same server",
    "webhooks": "Alerts kept durably, against a bare Flask route on the same server",
    "scale": "A thousand SLOs, against curl; many writers, against plain INSERTs",
}


def main() -> int:
    """Print every table."""
    chosen = sys.argv[1:] or list(PARTS)
    unknown = [name for name in chosen if name not in PARTS]
    if unknown:
        print(f"no benchmark named {', '.join(unknown)}; there are {', '.join(PARTS)}")
        return 2
    for name in chosen:
        print(f"\n== {PARTS[name]}\n", flush=True)
        importlib.import_module(f"benchmarks.{name}").main([])
    return 0


if __name__ == "__main__":
    sys.exit(main())
