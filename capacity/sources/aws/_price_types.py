"""What each instance type is, from EC2 DescribeInstanceTypes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from capacity.sources.aws._price_words import Left

SOURCE = "AWS EC2, DescribeInstanceTypes"
PAGE = 100  # the most that one page holds (DITMaxResults of the API's model)

Facts = dict[str, Any]
# Parts of the answer that say a type is made for one kind of work, and the list inside each.
_SPECIAL = (
    ("GpuInfo", "Gpus"), ("NeuronInfo", "NeuronDevices"), ("InferenceAcceleratorInfo", "Accelerators"),
    ("FpgaInfo", "Fpgas"), ("MediaAcceleratorInfo", "Accelerators"),
)  # fmt: skip


def read(client: Any) -> tuple[dict[str, Facts], tuple[str, ...]]:
    """Facts by instance type of one region, in the columns of the catalogue; and what was left out."""
    left: Left = Left()
    out: dict[str, Facts] = {}
    for page in client.get_paginator("describe_instance_types").paginate(PaginationConfig={"PageSize": PAGE}):
        for item in page["InstanceTypes"]:
            try:
                found = facts(item)
            except (KeyError, TypeError, ValueError) as error:
                left.add(f"no {error}", str(item.get("InstanceType")))
                continue
            out[found["instance_type"]] = found
    return out, left.notes("instance types")


def facts(item: Mapping[str, Any]) -> Facts:
    """One row of the catalogue, without rates. A clock or a bandwidth of 0 is one that AWS does not publish."""
    name = str(item["InstanceType"])
    cpu, processor = item["VCpuInfo"], item.get("ProcessorInfo", {})
    vcpu = int(cpu["DefaultVCpus"])
    return {
        "instance_type": name,
        "family": name.split(".")[0],
        "vcpu": vcpu,
        "cores": int(cpu.get("DefaultCores") or vcpu // int(cpu.get("DefaultThreadsPerCore", 1))),
        "memory_gib": int(item["MemoryInfo"]["SizeInMiB"]) / 1024,
        "network_gbps": _baseline_gbps(item.get("NetworkInfo", {})),
        "local_ssd_gb": int(item.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0)),
        "arch": _arch(processor["SupportedArchitectures"]),
        "clock_ghz": float(processor.get("SustainedClockSpeedInGhz", 0.0)),
        "current_generation": int(bool(item.get("CurrentGeneration"))),
        "burstable": int(bool(item.get("BurstablePerformanceSupported"))),
        "bare_metal": int(bool(item.get("BareMetal"))),
        "special": _special(name, item),
    }


def _baseline_gbps(network: Mapping[str, Any]) -> float:
    """What holds all the time, over all network cards; the peak is a burst."""
    return round(sum(float(c.get("BaselineBandwidthInGbps", 0.0)) for c in network.get("NetworkCards", [])), 6)


def _arch(known: list[str]) -> str:
    for word in known:
        if word.startswith("arm64"):
            return "arm64"
        if word.startswith("x86_64"):
            return "x86_64"
    raise ValueError(f"architecture that is known: {', '.join(known)}")


def _special(name: str, item: Mapping[str, Any]) -> str:
    """What it is made for, if not for general work: accelerators, clusters of one zone, macOS."""
    if name.startswith("hpc"):
        return "HPC"
    if name.startswith("mac"):
        return "macOS"
    for part, inside in _SPECIAL:
        if item.get(part):
            return _accelerators(item[part].get(inside, []))
    return ""


def _accelerators(devices: list[Mapping[str, Any]]) -> str:
    said = (f"{d.get('Count', 1):g} × {d.get('Manufacturer', '')} {d.get('Name', '')}".strip() for d in devices)
    return " + ".join(" ".join(text.split()) for text in said) or "accelerator"
