"""Where the API server is, and who we are."""

from __future__ import annotations

import os

from kubernetes.aio import client, config


async def load_configuration() -> client.Configuration:
    """From KUBECONFIG where it is set, else the pod's service account, else ~/.kube/config.

    Raises ConfigException where there is none of them.
    """
    configuration = client.Configuration()
    if not os.environ.get("KUBECONFIG") and os.environ.get("KUBERNETES_SERVICE_HOST"):
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    # The reconciler's own back-off retries; a second layer below it would hide failures.
    configuration.retries = None
    return configuration
