"""The conversation's history and how it becomes the text that an engine reads."""

from chatstream.prompts.budget import fit
from chatstream.prompts.chat_prompt import ChatPrompt
from chatstream.prompts.fold import Fold
from chatstream.prompts.message import Message, Role
from chatstream.prompts.templates import TEMPLATES, Template, TemplateName

__all__ = ["TEMPLATES", "ChatPrompt", "Fold", "Message", "Role", "Template", "TemplateName", "fit"]
