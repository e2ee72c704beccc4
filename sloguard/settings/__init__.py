"""Settings: flags before environment before file before defaults, every problem at once.

``load_settings`` reads them, ``describe`` lists them; the documentation is made from the latter.
"""

from sloguard.settings.groups import (
    ChartSettings,
    KubernetesSettings,
    PrometheusSettings,
    RunSettings,
    ServeSettings,
    Settings,
    StoreSettings,
)
from sloguard.settings.reading import SettingsError, find_file, load_settings
from sloguard.settings.table import Setting, describe

__all__ = [
    "ChartSettings",
    "KubernetesSettings",
    "PrometheusSettings",
    "RunSettings",
    "ServeSettings",
    "Setting",
    "Settings",
    "SettingsError",
    "StoreSettings",
    "describe",
    "find_file",
    "load_settings",
]
