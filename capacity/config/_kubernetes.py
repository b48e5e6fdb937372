"""What clusters cost whom: files of what each workload took, and whose workload is whose."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from capacity.config._base import Model, Name


class KubernetesSource(Model):
    """Files that say what share of a cluster each workload took.

    OpenCost's own (the answers of its /allocation API as JSON, or its CSV export), or AWS Cost and Usage Reports with
    split cost allocation data. They only say proportions: what the cluster cost is what the bill says.
    """

    kind: Literal["kubernetes"]
    name: Name
    format: Literal["opencost", "aws_split_cost"] = "opencost"
    path: str = Field(description="a file, a folder or a glob (* and **)")
    cluster: Name | None = Field(None, description="for files that do not name their cluster (OpenCost's CSV does not)")

    @model_validator(mode="after")
    def _cluster_is_opencosts(self) -> Self:
        if self.cluster is not None and self.format != "opencost":
            raise ValueError("cluster belongs to format: opencost; AWS names the cluster in a tag of each line")
        return self


class WorkloadRule(Model):
    """Workloads of a cluster whose properties all match go to ``service``, or to the service that a label names."""

    name: Name
    service: Name | None = None
    service_from_label: str | None = Field(None, description="the label whose value names the service")
    match: dict[Literal["cluster", "namespace", "controller_kind", "controller", "pod"], str] = Field(
        {}, description="property -> regular expression that must match it whole"
    )
    labels: dict[str, str] = Field({}, description="label -> regular expression that must match its value whole")

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if (self.service is None) == (self.service_from_label is None):
            raise ValueError("give exactly one of service and service_from_label")
        return self


class KubernetesCostConfig(Model):
    """Whose workload is whose, and which namespaces are the cluster's own."""

    rules: list[WorkloadRule] = Field([], description="the first that matches wins")
    overhead: list[str] = Field(
        ["kube-.*", "kubernetes-.*", "opencost", "kubecost", "calico-.*", "tigera-.*", "cilium.*"],
        description="namespaces of the cluster's own workloads, as regular expressions; looked at after the rules",
    )
