"""One message of a conversation."""

import secrets
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["user", "assistant"]


def new_id() -> str:
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Message:
    """`incomplete`: the reply was cut. `example`: a few-shot example, which stands before every turn."""

    id: str
    role: Role
    text: str
    incomplete: bool = False
    example: bool = False

    def to_json(self) -> dict[str, Any]:
        flags = {name: True for name in ("incomplete", "example") if getattr(self, name)}
        return {"id": self.id, "role": self.role, "text": self.text, **flags}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Message":
        """Raises ValueError for what `to_json` did not make."""
        role, text = data.get("role"), data.get("text")
        if role not in ("user", "assistant") or not isinstance(text, str):
            raise ValueError("a stored message lacks a role or its text")
        flags = {name: data.get(name) is True for name in ("incomplete", "example")}
        return cls(str(data["id"]) if "id" in data else new_id(), role, text, **flags)
