"""Drivers of the Chaos Toolkit that are installed: called as chaostoolkit-lib calls them."""

from __future__ import annotations

import importlib.metadata
import json
import os
from pathlib import Path

import pytest
import yaml

from tests.support.command import ROOT, Ran, sloguard

DRIVERS = Path(__file__).parent / "drivers"
CORPUS = Path(__file__).parent / "corpus-kubernetes"
CLIENT = int(importlib.metadata.version("kubernetes").partition(".")[0])


def ran(tmp_path: Path, *arguments: str | Path, **variables: str) -> Ran:
    path = os.pathsep.join([str(ROOT), str(DRIVERS / "packages")])
    given = {"PYTHONPATH": path, "CALLED": str(tmp_path / "called"), "NAMESPACE": "shop"}
    return sloguard(*arguments, "--format", "json", home=tmp_path, env={**given, **variables})


def test_a_driver_gets_configuration_and_the_secrets_it_lists(tmp_path):
    (tmp_path / "kitchen").write_text("on")
    file = DRIVERS / "tiny.yaml"
    done = ran(tmp_path, "run", file, HOUSE=str(tmp_path), HOUSE_KEY="keyword")
    assert done.json["outcome"] == "deviated", done.err
    dark, light = (a for a in done.json["activities"] if a["name"] in ("dark", "light"))
    assert dark["output"] == {"lamp": "kitchen", "rooms": 1, "groups": ["key"]}
    assert (dark["status"], light["status"]) == ("succeeded", "succeeded")
    assert "runs_as" not in dark
    assert (tmp_path / "kitchen").read_text() == "on by key"


def test_the_driver_itself_is_called_where_it_is_wanted(tmp_path):
    file = CORPUS / "pod-one-with-steady-state.yaml"
    done = ran(tmp_path, "run", "--use-drivers", file)
    assert done.json["outcome"] == "met", done.err
    assert (tmp_path / "called").read_text() == "app=storefront True shop"
    assert done.json["faults"] == []
    assert not [a for a in done.json["activities"] if "runs_as" in a]


def test_what_sloguard_has_no_function_for_is_called_on_the_driver(tmp_path):
    document = yaml.safe_load((CORPUS / "pod-one.yaml").read_text())
    provider = document["method"][0]["provider"]
    provider |= {"module": "chaosk8s.namespace", "func": "delete_namespace"}
    provider["arguments"] = {"name": "shop"}
    file = tmp_path / "experiment.json"
    file.write_text(json.dumps(document))
    checked = ran(tmp_path, "validate", file)
    assert checked.code == 0, checked.out
    assert checked.json[0]["aliases"] == []
    done = ran(tmp_path, "run", file)
    assert done.json["activities"][0]["status"] == "succeeded", done.err
    assert (tmp_path / "called").read_text() == "shop"


@pytest.mark.skipif(CLIENT < 36, reason="an older Kubernetes client does not break it")
def test_a_driver_that_is_known_to_break_is_refused_before_anything_is_touched(tmp_path):
    environ = {"INGRESS_HOST": "127.0.0.1:1"}
    file = CORPUS / "mesh-abort-half.yaml"
    done = ran(tmp_path, "run", "--use-drivers", file, **environ)
    assert done.json["outcome"] == "not-started"
    assert f"chaosistio fails with the Kubernetes client {CLIENT}." in done.json["reason"]
    assert "pip install 'kubernetes<36'" in done.json["reason"]
    assert "it was called" not in done.out + done.err
    assert done.json["activities"] == []
