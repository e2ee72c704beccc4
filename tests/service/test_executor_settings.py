"""Settings by which no worker of a cluster could do its work: told before the service serves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sloguard.adapters.store import Store
from sloguard.bootstrap import catalogue, executor_misfits
from sloguard.bootstrap.executing import _deadline, job_shape, orphan_watch, tell_orphan
from sloguard.ports.jobs import Job, JobState
from sloguard.ports.orphans import Orphan, OrphanState
from sloguard.service.lasting import JUDGING_SECONDS
from sloguard.settings import load_settings
from tests.support.command import sloguard

KUBERNETES = {"SLOGUARD_SERVE_EXECUTOR": "kubernetes"}
SHARED = {**KUBERNETES, "SLOGUARD_STORE_URL": "postgresql://sloguard@db/sloguard"}


def test_a_store_that_no_other_pod_can_write_is_refused(tmp_path: Path) -> None:
    ran = sloguard("serve", "--bind", "127.0.0.1:0", home=tmp_path, env=KUBERNETES)
    assert ran.code == 2
    assert "store.url: serve.executor is kubernetes" in ran.err.replace("\n", " ")
    assert "postgresql://USER@HOST/DATABASE" in ran.err


def test_what_is_given_by_a_flag_is_not_seen_by_pods() -> None:
    settings = load_settings(environ=SHARED, flags={"prometheus.url": "http://here:9090"})
    assert [name for name, *_ in executor_misfits(settings)] == ["prometheus.url"]
    settings = load_settings(environ=SHARED, flags={"serve.bind": "0.0.0.0:80"})
    assert executor_misfits(settings) == []


def test_each_setting_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    fragment = tmp_path / "pod.yaml"
    fragment.write_text("kind: Pod\n")
    given = {
        **SHARED,
        "SLOGUARD_EXECUTOR_NAME": "our service",
        "SLOGUARD_EXECUTOR_LABELS": f"team=sre,empty=,long={'x' * 64}",
        "SLOGUARD_EXECUTOR_TOLERATIONS": "dedicated",
        "SLOGUARD_EXECUTOR_POD_TEMPLATE": str(fragment),
    }
    found = {name: why for name, why, *_ in executor_misfits(load_settings(environ=given))}
    wrong = ("name", "labels", "tolerations", "pod_template")
    assert set(found) == {f"executor.{name}" for name in wrong}
    assert "'our service' cannot be one" in found["executor.name"]
    assert "xxx" in found["executor.labels"]
    assert "no part of a PodTemplateSpec" in found["executor.pod_template"]


def test_local_workers_need_none_of_it() -> None:
    assert executor_misfits(load_settings(environ={})) == []


def test_the_file_is_laid_over_what_is_made(tmp_path: Path) -> None:
    fragment = tmp_path / "pod.yaml"
    fragment.write_text("spec: {priorityClassName: low}\n")
    given = {
        **SHARED,
        "SLOGUARD_EXECUTOR_POD_TEMPLATE": str(fragment),
        "SLOGUARD_EXECUTOR_TOLERATIONS": "dedicated=chaos:NoSchedule",
        "SLOGUARD_EXECUTOR_LIMITS": "memory=2Gi,cpu=1",
    }
    shape = job_shape(load_settings(environ=given))
    assert shape.over == {"spec": {"priorityClassName": "low"}}
    assert shape.tolerations[0]["effect"] == "NoSchedule"
    assert shape.limits == {"memory": "2Gi", "cpu": "1"}


def test_people_are_told_of_a_fault_that_cannot_be_undone(tmp_path: Path) -> None:
    file = tmp_path / "sloguard.yaml"
    channel = "{type: http, url: 'http://127.0.0.1:9/x', when: action-needed}"
    file.write_text(f"notify: {{channels: {{team: {channel}}}}}\n")
    settings = load_settings(file, environ={})
    orphan = Orphan(
        id="one",
        cluster="c",
        run="a-run",
        fault="istio.add_delay_fault",
        target="VirtualService shop/checkout",
        state=OrphanState.LEFT,
        detail="it may not be patched",
        by_hand="kubectl edit virtualservices checkout",
    )
    with Store(str(tmp_path / "runs.db")) as store:
        for _ in range(2):
            tell_orphan(settings, store, orphan)
        message = store.take(["http:team"], holder="me", seconds=60.0)
        assert message is not None
        assert message.payload["event"] == "fault-left"
        assert "VirtualService shop/checkout" in message.payload["headline"]
        assert "by hand: kubectl edit virtualservices checkout" in message.payload["reason"]
        assert store.take(["http:team"], holder="me", seconds=60.0) is None


def test_nobody_looks_at_a_cluster_where_there_is_none(tmp_path: Path) -> None:
    with Store(str(tmp_path / "runs.db")) as store:
        for wanted, looks in (("auto", False), ("off", False), ("on", True)):
            settings = load_settings(environ={"SLOGUARD_JANITOR_CLUSTER": wanted})
            made = orphan_watch(settings, store, name="me", mended=lambda: None)
            assert (made is not None) is looks


def test_a_run_whose_experiment_cannot_be_read_here_has_a_day(tmp_path: Path) -> None:
    """Its worker finds it by its file where its name is another one since, and must not be cut off in the middle."""
    settings = load_settings(environ={**SHARED, "SLOGUARD_EXECUTOR_PENDING": "60s"})
    job = Job(id="a", experiment="nowhere", state=JobState.STARTING, requested_at=0.0)
    known = catalogue(settings)
    assert _deadline(settings, known, job) == 60 + 86400
    assert _deadline(settings, known, replace(job, kind="window")) == 60 + JUDGING_SECONDS
    settings = load_settings(environ={**SHARED, "SLOGUARD_EXECUTOR_DEADLINE": "2h"})
    assert _deadline(settings, known, job) == 7200
