"""One ChatStream as the rest of the operator sees it: identity, spec, and what follows from them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from chatstream_operator.errors import InvalidSpec
from chatstream_operator.spec.engine_env import check_engine_env
from chatstream_operator.spec.model import SecretKeyRef, Spec, Template

API_VERSION = "chatstream.dev/v1alpha1"
KIND = "ChatStream"
DEMO_MODEL = "demo"
ROTATE_ANNOTATION = "chatstream.dev/rotate-keys"
"""On a ChatStream: each new value asks for new keys."""
_LONGEST_REQUEST = 100
_LLAMA3 = re.compile(r"llama-?3", re.IGNORECASE)


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Where a ChatStream is found."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class ChatStream:
    """A parsed resource. Frozen: builders and status are functions of it.

    rotation_request: the value of the annotation that asks for new keys, empty where there is none.
    """

    key: Key
    uid: str
    generation: int
    spec: Spec
    rotation_request: str = ""

    @property
    def name(self) -> str:
        return self.key.name

    @property
    def namespace(self) -> str:
        return self.key.namespace

    @property
    def gpu_count(self) -> int:
        """GPUs of each pod: one for TGI where nothing is said, none for Demo."""
        count = self.spec.engine.gpu.count
        return count if count is not None else (1 if self.spec.engine.type == "TGI" else 0)

    @property
    def model_id(self) -> str:
        return self.spec.model.id if self.spec.model else DEMO_MODEL

    @property
    def template(self) -> Template:
        if self.spec.chat.template is not None:
            return self.spec.chat.template
        return "Llama3" if _LLAMA3.search(self.model_id) else "ChatML"

    @property
    def redis_url_ref(self) -> SecretKeyRef | None:
        """The Secret that holds the URL of the user's own Redis."""
        redis = self.spec.sessions.redis
        return redis.url_secret_ref if redis and self.spec.sessions.store == "Redis" else None

    @property
    def redis_ca_ref(self) -> SecretKeyRef | None:
        """The Secret that holds the authorities of the user's own Redis."""
        redis = self.spec.sessions.redis
        return redis.ca_secret_ref if redis and self.redis_url_ref else None

    @property
    def session_store(self) -> Literal["managed", "url", "memory"]:
        if self.spec.sessions.store == "Memory":
            return "memory"
        return "url" if self.redis_url_ref else "managed"

    @property
    def url(self) -> str:
        return f"http://{self.name}.{self.namespace}.svc"

    @property
    def owner_reference(self) -> dict[str, Any]:
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }


def parse_chatstream(raw: Mapping[str, Any]) -> ChatStream:
    """raw: as the API server gives it. Raises InvalidSpec, whose message names the field and the remedy."""
    try:
        spec = Spec.model_validate(raw.get("spec") or {})
    except ValidationError as error:
        raise InvalidSpec(_describe(error)) from error
    _check(spec)
    meta = raw["metadata"]
    key = Key(namespace=meta["namespace"], name=meta["name"])
    return ChatStream(
        key=key,
        uid=meta["uid"],
        generation=meta.get("generation", 0),
        spec=spec,
        rotation_request=_rotation_request(meta),
    )


def _rotation_request(meta: Mapping[str, Any]) -> str:
    """It is kept with the keys, so a long one is kept by its hash."""
    value = str((meta.get("annotations") or {}).get(ROTATE_ANNOTATION, "")).strip()
    return value if len(value) <= _LONGEST_REQUEST else hashlib.sha256(value.encode()).hexdigest()


def _check(spec: Spec) -> None:
    if spec.engine.type == "TGI" and spec.model is None:
        raise InvalidSpec("spec.model.id: an engine of type TGI needs a model; name one, or use type Demo")
    problems = check_engine_env(spec.engine.env)
    if problems:
        raise InvalidSpec("; ".join(problems))


def _describe(error: ValidationError) -> str:
    parts = []
    for problem in error.errors(include_url=False):
        path = ".".join(str(part) for part in ("spec", *problem["loc"]))
        parts.append(f"{path}: {problem['msg']}")
    return "; ".join(parts)
