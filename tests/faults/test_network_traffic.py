"""The tc commands of network faults: built, read back and restored, on recorded answers of tc."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sloguard.faults import network, tc, traffic
from sloguard.faults.base import Context, FaultError, find_fault
from sloguard.faults.traffic import Towards

# Answers of `tc -j qdisc show dev X` (iproute2 6.1) on interfaces of several kinds.
NOQUEUE = '[{"kind":"noqueue","handle":"0:","dev":"lo","root":true,"refcnt":2,"options":{}}]'
PFIFO_FAST = (
    '[{"kind":"pfifo_fast","handle":"0:","dev":"eth0","root":true,"refcnt":2,'
    '"options":{"bands":3,"priomap":[1,2,2,2,1,2,0,0,1,1,1,1,1,1,1,1],"multiqueue":false}}]'
)
MQ = (
    '[{"kind":"mq","handle":"0:","dev":"ens5","root":true,"options":{}},'
    '{"kind":"fq_codel","handle":"0:","dev":"ens5","parent":":2","options":{"limit":10240,"flows":1024,'
    '"quantum":1514,"target":4999,"interval":99999,"memory_limit":33554432,"ecn":true,"drop_batch":64}},'
    '{"kind":"fq_codel","handle":"0:","dev":"ens5","parent":":1","options":{"limit":10240,"flows":1024,'
    '"quantum":1514,"target":4999,"interval":99999,"memory_limit":33554432,"ecn":true,"drop_batch":64}}]'
)
TBF = (
    '[{"kind":"tbf","handle":"8001:","dev":"eth0","root":true,"refcnt":2,'
    '"options":{"rate":125000,"burst":32768,"lat":50000}}]'
)
PFIFO = (
    '[{"kind":"pfifo","handle":"8002:","dev":"eth0","root":true,"refcnt":2,"options":{"limit":33}}]'
)
FQ_CODEL = (
    '[{"kind":"fq_codel","handle":"8003:","dev":"eth0","root":true,"refcnt":2,"options":{"limit":10240,'
    '"flows":1024,"quantum":1514,"target":5000,"interval":100000,"memory_limit":33554432,"ecn":true,'
    '"drop_batch":64}}]'
)
HTB = (
    '[{"kind":"htb","handle":"1:","dev":"eth0","root":true,"refcnt":2,"options":{"r2q":10,"default":"0x1",'
    '"direct_packets_stat":5,"direct_qlen":1000}},'
    '{"kind":"pfifo","handle":"8001:","dev":"eth0","parent":"1:1","options":{"limit":10}}]'
)
CILIUM = (
    NOQUEUE[:-1]
    + ',{"kind":"clsact","handle":"ffff:","dev":"lo","parent":"ffff:fff1","options":{}}]'
)


@pytest.mark.parametrize("answer", [NOQUEUE, PFIFO_FAST, MQ, CILIUM])
def test_the_kernels_own_setting_comes_back_by_itself(answer: str) -> None:
    assert tc.is_default(tc.parsed(answer))
    assert tc.restoring(tc.parsed(answer), "eth0") is None


@pytest.mark.parametrize(
    ("answer", "command"),
    [
        (
            TBF,
            "qdisc replace dev eth0 root handle 8001: tbf rate 125000bps burst 32768b latency 50000us",
        ),
        (PFIFO, "qdisc replace dev eth0 root handle 8002: pfifo limit 33"),
        (
            FQ_CODEL,
            "qdisc replace dev eth0 root handle 8003: fq_codel limit 10240p flows 1024 quantum 1514 "
            "target 5000us interval 100000us memory_limit 33554432 ecn drop_batch 64",
        ),
    ],
)
def test_a_simple_setting_of_somebodys_own_is_written_out_again(answer: str, command: str) -> None:
    assert tc.restoring(tc.parsed(answer), "eth0") == command.split()


def test_a_setting_that_could_not_be_restored_is_not_touched() -> None:
    with pytest.raises(
        FaultError, match=r"traffic control of somebody's own \(htb 1:, pfifo 8001:\)"
    ):
        tc.restoring(tc.parsed(HTB), "eth0")
    odd = json.loads(PFIFO)
    odd[0]["options"]["unheard_of"] = 1
    with pytest.raises(FaultError, match="could not be restored exactly: not touched"):
        tc.restoring(odd, "eth0")


def test_counters_do_not_make_a_difference_and_everything_else_does() -> None:
    first, later = json.loads(HTB), json.loads(HTB)
    later[0]["options"]["direct_packets_stat"] = 99
    later[0]["refcnt"] = 3
    assert tc.comparable(first) == tc.comparable(list(reversed(later)))
    later[1]["options"]["limit"] = 11
    assert tc.comparable(first) != tc.comparable(later)


def test_an_old_tc_without_json() -> None:
    with pytest.raises(FaultError, match=r"iproute2 4\.16 or newer"):
        tc.parsed("qdisc noqueue 0: root refcnt 2")


def lines(leaf: list[str], towards: Towards, *, replace: bool = False) -> list[str]:
    made = traffic.setting_up("eth0", "5a17:", leaf, towards, replace=replace)
    return [" ".join(command) for command in made]


def test_a_whole_interface_is_one_command() -> None:
    everything = Towards.of(None, None, None)
    assert lines(traffic.delay_leaf(0.1, 0.0), everything) == [
        "qdisc add dev eth0 root handle 5a17: netem limit 20000 delay 100000us"
    ]
    assert lines(traffic.delay_leaf(0.1, 0.02), everything, replace=True) == [
        "qdisc replace dev eth0 root handle 5a17: netem limit 20000 delay 100000us 20000us"
    ]
    assert lines(traffic.loss_leaf(0.125), everything) == [
        "qdisc add dev eth0 root handle 5a17: netem limit 20000 loss 12.5%"
    ]
    assert lines(traffic.throttle_leaf(10_000_000), everything) == [
        "qdisc add dev eth0 root handle 5a17: tbf rate 10000000bit burst 131072b latency 400ms"
    ]


def test_chosen_traffic_is_led_into_a_class_and_the_rest_passes() -> None:
    towards = Towards.of(["10.0.0.7", "fd00::/64"], 5432, None)
    assert lines(traffic.delay_leaf(0.1, 0.0), towards) == [
        "qdisc add dev eth0 root handle 5a17: htb default 0",
        "class add dev eth0 parent 5a17: classid 5a17:1 htb rate 10gbit quantum 60000",
        "qdisc add dev eth0 parent 5a17:1 netem limit 20000 delay 100000us",
        "filter add dev eth0 parent 5a17: protocol ip prio 1 u32 match ip dst 10.0.0.7/32 "
        "match ip protocol 6 0xff match ip dport 5432 0xffff flowid 5a17:1",
        "filter add dev eth0 parent 5a17: protocol ip prio 1 u32 match ip dst 10.0.0.7/32 "
        "match ip protocol 17 0xff match ip dport 5432 0xffff flowid 5a17:1",
        "filter add dev eth0 parent 5a17: protocol ipv6 prio 2 u32 match ip6 dst fd00::/64 "
        "match ip6 protocol 6 0xff match ip6 dport 5432 0xffff flowid 5a17:1",
        "filter add dev eth0 parent 5a17: protocol ipv6 prio 2 u32 match ip6 dst fd00::/64 "
        "match ip6 protocol 17 0xff match ip6 dport 5432 0xffff flowid 5a17:1",
    ]
    assert str(towards) == "to 10.0.0.7, fd00::/64 to port 5432"


def test_a_port_alone_is_meant_in_both_protocols() -> None:
    made = lines(traffic.drop_leaf(), Towards.of(None, None, [8080]))
    assert len(made) == 3 + 4
    assert all("sport 8080" in line for line in made[3:])


def test_a_name_is_looked_up_once() -> None:
    assert "127.0.0.1" in str(Towards.of("localhost", None, None))
    with pytest.raises(FaultError, match=r"hosts: 'no\.\.name' is not an address"):
        Towards.of("no..name", None, None)


def test_too_many_filters_are_refused() -> None:
    with pytest.raises(FaultError, match="240 filters are needed, at most 200"):
        Towards.of(["10.0.0.1"], list(range(1, 121)), None).matches()


@pytest.mark.parametrize(
    ("text", "bits"),
    [("10mbit", 10_000_000), ("512 kbit", 512_000), ("1.5Gbit", 1_500_000_000), ("9000bit", 9000)],
)
def test_rates(text: str, bits: int) -> None:
    assert traffic.bits_per_second(text) == bits


@pytest.mark.parametrize("text", ["10", "1bit", "fast", "10mbps", "900gbit", None])
def test_rates_that_make_no_sense(text: Any) -> None:
    with pytest.raises(FaultError, match="rate: expected 8kbit to 100gbit"):
        traffic.bits_per_second(text)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("delay", {"delay": 0}, "delay: must be above 0"),
        ("delay", {"delay": "2m"}, "delay: at most 60s"),
        ("delay", {"delay": "10ms", "jitter": "20ms"}, "jitter: at most"),
        ("loss", {"percentage": 0}, "percentage: must be above 0"),
        ("loss", {"percentage": 100}, "cuts this machine off"),
        ("partition", {}, "would cut this machine off"),
        ("partition", {"hosts": "0.0.0.0/0"}, "would cut this machine off"),
        ("delay", {"delay": 1, "ports": 0}, "ports: must be at least 1"),
        ("delay", {"delay": 1, "interface": "no/such"}, "interface: no 'no/such' here; there are"),
        ("delay", {"delay": 1, "interface": "nope0"}, "interface: no 'nope0' here; there are"),
        ("delay", {"delay": 1, "duration": "soon"}, "duration: 'soon' is not a duration"),
    ],
)
def test_nonsense_is_refused(name: str, arguments: dict[str, Any], expected: str) -> None:
    with pytest.raises(FaultError, match=expected):
        find_fault(f"network.{name}").plan({"interface": "lo", **arguments}, Context())


def test_a_missing_kernel_module_is_named() -> None:
    commands = [["qdisc", "add", "dev", "lo", "root", "handle", "5000:", "netem", "delay", "1us"]]
    said = network._explained("Specified qdisc kind is unknown.", commands)
    assert said == "this kernel has no sch_netem (Specified qdisc kind is unknown.)"
    assert "not permitted" in network._explained(
        "RTNETLINK answers: Operation not permitted", commands
    )
