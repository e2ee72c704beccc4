"""What importing the adapter costs."""

from __future__ import annotations

import subprocess
import sys


def test_nothing_heavy_comes_along() -> None:
    code = "import sys, sloguard.adapters.prometheus; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "prometheus_api_client.prometheus_connect" in loaded
    assert not loaded & {"pandas", "matplotlib", "flask", "sqlalchemy", "kubernetes", "simdjson"}


def test_settings_load_without_a_client() -> None:
    code = "import sys, sloguard.adapters.prometheus_settings; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"requests", "urllib3", "numpy", "msgspec"}
