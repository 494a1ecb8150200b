"""The kinds of objects that the operator reads or writes, and where the API server keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """api_version: group/version, or the version alone for the core group."""

    api_version: str
    kind: str
    plural: str

    def path(
        self, namespace: str | None = None, name: str | None = None, subresource: str | None = None
    ) -> str:
        """Path of the collection (of all namespaces where none is given), the object or its subresource."""
        root = "/apis" if "/" in self.api_version else "/api"
        parts = [root, self.api_version]
        if namespace is not None:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part is not None]
        return "/".join(parts)


CHATSTREAM = Kind("chatstream.dev/v1alpha1", "ChatStream", "chatstreams")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
STATEFULSET = Kind("apps/v1", "StatefulSet", "statefulsets")
SERVICE = Kind("v1", "Service", "services")
CONFIGMAP = Kind("v1", "ConfigMap", "configmaps")
SECRET = Kind("v1", "Secret", "secrets")
SERVICEACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts")
CLAIM = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
DISRUPTIONBUDGET = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
NETWORKPOLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
POD = Kind("v1", "Pod", "pods")
EVENT = Kind("events.k8s.io/v1", "Event", "events")

CHILDREN = (
    DEPLOYMENT,
    STATEFULSET,
    SERVICE,
    CONFIGMAP,
    SECRET,
    SERVICEACCOUNT,
    CLAIM,
    DISRUPTIONBUDGET,
    NETWORKPOLICY,
)
"""Kinds that the operator applies and prunes."""

WATCHED = (*CHILDREN, POD)

_BY_TYPE = {(kind.api_version, kind.kind): kind for kind in (*WATCHED, CHATSTREAM, EVENT)}


def kind_of(obj: Mapping[str, Any]) -> Kind:
    """Raises KeyError for a kind that the operator has no business with."""
    return _BY_TYPE[obj["apiVersion"], obj["kind"]]
