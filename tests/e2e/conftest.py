"""The suites here run against the cluster of `make up`; what they share is tests/support/harness."""

from harness.fixtures import browsers, certificate, cluster, kube, namespace, namespaces

__all__ = ["browsers", "certificate", "cluster", "kube", "namespace", "namespaces"]
