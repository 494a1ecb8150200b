"""The border: raw objects of the API server go in, one frozen ChatStream comes out."""

from chatstream_operator.spec.model import Spec
from chatstream_operator.spec.resource import (
    API_VERSION,
    KIND,
    ROTATE_ANNOTATION,
    ChatStream,
    Key,
    parse_chatstream,
)

__all__ = ["API_VERSION", "KIND", "ROTATE_ANNOTATION", "ChatStream", "Key", "Spec", "parse_chatstream"]
