"""The wraps themselves: one function for each attribute of LangChain's that patches.py replaces."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.llms import BaseLLM
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool, StructuredTool, Tool
from langgraph.pregel import Pregel

from jackline_langchain.wraps import graphs, models, queries, tools

ENTRANCES: tuple[tuple[type, dict[str, Any]], ...] = (
    (BaseTool, tools.ENTRANCES),
    (BaseChatModel, models.ENTRANCES),
    (BaseLLM, models.TEXT_ENTRANCES),
    (BaseRetriever, queries.ENTRANCES),
    (Pregel, graphs.ENTRANCES),
)
BODIES: tuple[tuple[type, type, dict[str, Any]], ...] = (
    (StructuredTool, BaseTool, tools.BODIES),
    (Tool, BaseTool, tools.BODIES),
)
"""Bodies that are wrapped at once, as class and base; those of other classes are when one is first called."""
OWN_TOOLS = tools.OWN
"""What is wrapped of every other class of tools, those defined later too; LangChain's own lead to its entrances."""
EMBEDDINGS = queries.EMBEDDINGS
