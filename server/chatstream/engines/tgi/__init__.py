"""Hugging Face text-generation-inference, and whatever speaks its protocol."""

from chatstream.engines.tgi.engine import TGIEngine

__all__ = ["TGIEngine"]
