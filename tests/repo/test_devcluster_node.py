"""What the network, the node, storage and GPUs are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devcluster import containers, gpus, network, node, storage
from devcluster.errors import CannotContinue
from devcluster.paths import Layout
from devcluster.plane import Plane

LAYOUT = Layout(Path("/state"), Path("/run/x"))
Json = dict[str, Any]


def test_the_address_of_the_default_routes_device_is_chosen() -> None:
    devices = [
        {"ifname": "eth0", "addr_info": [{"local": "10.1.1.1"}]},
        {"ifname": "eth1", "addr_info": [{"local": "10.2.2.2"}]},
    ]
    assert network.choose_address([{"dev": "eth1"}], devices) == "10.2.2.2"
    assert network.choose_address([], devices) == "10.1.1.1"


def test_the_pods_bridge_is_never_the_node() -> None:
    devices = [{"ifname": network.BRIDGE, "addr_info": [{"local": "10.244.0.1"}]}]
    with pytest.raises(CannotContinue, match="no IPv4 address besides loopback"):
        network.choose_address([], devices)


def cni_result(container: str, link: str) -> Json:
    inside = {"name": "eth0", "sandbox": "/run/netns/x"}
    return {
        "containerId": container,
        "result": {"interfaces": [{"name": network.BRIDGE}, {"name": link}, inside]},
    }


def test_sandboxes_without_their_link_are_cut_off() -> None:
    results = [cni_result("a", "veth1"), cni_result("b", "veth2")]
    assert network.choose_cut_off(results, {"veth1"}) == ["b"]
    assert network.choose_cut_off(results, set()) == ["a", "b"]


def test_only_traffic_that_leaves_the_pods_is_masqueraded() -> None:
    assert "ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16" in network.build_masquerade()


def test_the_kubelet_never_collects_images_nor_touches_iptables() -> None:
    config = node.build_kubelet_config(Plane(LAYOUT))
    assert config["imageGCHighThresholdPercent"] == 100
    assert config["makeIPTablesUtilChains"] is False
    assert config["containerRuntimeEndpoint"] == "unix:///run/x/containerd/containerd.sock"
    assert config["podLogsDir"].startswith("/state/")


def test_dns_forwards_only_where_there_is_a_resolver() -> None:
    with_one = node.build_corefile(Path("/k"), "# c\nnameserver 1.1.1.1\n")
    assert "forward . /etc/resolv.conf" in with_one
    assert "forward" not in node.build_corefile(Path("/k"), "search x\n")


def test_containerd_keeps_to_its_own_folders() -> None:
    text = containers.build_config(LAYOUT, "pause:1")
    folders = [line.split('"')[1] for line in text.splitlines() if '= "/' in line]
    assert {folder for folder in folders if not folder.startswith(("/state", "/run/x"))} == {
        containers.CNI_BIN
    }
    assert "restrict_oom_score_adj = true" in text


def claim(**changes: str) -> Json:
    return {
        "metadata": {
            "name": "data",
            "namespace": "n",
            "uid": "u1",
            "annotations": {storage.WANTED_OF[0]: storage.PROVISIONER},
        },
        "spec": {
            "storageClassName": "local",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            **changes,
        },
        "status": {"phase": "Pending"},
    }


def test_a_claim_gets_a_local_volume_bound_to_it() -> None:
    volume = storage.build_volume(claim(), Path("/v"))
    assert volume["metadata"]["name"] == "pvc-u1"
    assert volume["spec"]["local"] == {"path": "/v/pvc-u1"}
    assert volume["spec"]["claimRef"]["uid"] == "u1"
    assert volume["spec"]["capacity"] == {"storage": "1Gi"}


def test_only_claims_that_wait_for_this_provisioner_get_one() -> None:
    assert storage.wants_volume(claim())
    assert not storage.wants_volume(claim(volumeName="pvc-u1"))
    assert not storage.wants_volume(claim(volumeMode="Block"))
    other = claim()
    other["metadata"]["annotations"] = {storage.WANTED_OF[0]: "someone.else"}
    assert not storage.wants_volume(other)


@pytest.mark.parametrize(
    ("phase", "policy", "maker", "released"),
    [
        ("Released", "Delete", storage.PROVISIONER, True),
        ("Failed", "Delete", storage.PROVISIONER, True),
        ("Bound", "Delete", storage.PROVISIONER, False),
        ("Released", "Retain", storage.PROVISIONER, False),
        ("Released", "Delete", "someone.else", False),
    ],
)
def test_data_goes_with_the_claim(phase: str, policy: str, maker: str, released: bool) -> None:
    volume = {
        "metadata": {"annotations": {storage.MADE_BY: maker}},
        "spec": {"persistentVolumeReclaimPolicy": policy},
        "status": {"phase": phase},
    }
    assert storage.is_released(volume) is released


def test_gpus_must_be_in_both_places() -> None:
    right = {gpus.RESOURCE: gpus.COUNT}
    assert gpus.is_right({"status": {"capacity": right, "allocatable": right}})
    assert not gpus.is_right({"status": {"capacity": right, "allocatable": {gpus.RESOURCE: "0"}}})
    assert not gpus.is_right({})
