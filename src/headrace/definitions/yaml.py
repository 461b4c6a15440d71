"""Definitions as YAML, and back: Python -> YAML -> Python gives equal definitions."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

from headrace.definitions.codec import definitions_of, document_of
from headrace.definitions.functions import Resolve, function_at
from headrace.definitions.place import Path, Place
from headrace.definitions.project import Definitions
from headrace.errors import DefinitionError


def to_yaml(definitions: Definitions) -> str:
    """Write definitions as YAML; see `headrace.definitions.codec` for its form.

    Examples
    --------
    >>> import headrace as hr
    >>> print(to_yaml(hr.Definitions.of([hr.Entity("driver", keys={"driver_id": hr.Int64})])))
    entities:
      driver:
        keys: {driver_id: Int64}
    """
    text: str = yaml.safe_dump(
        document_of(definitions), sort_keys=False, allow_unicode=True, default_flow_style=None, width=110
    )
    return text


def from_yaml(text: str, *, name: str = "", resolve: Resolve = function_at) -> Definitions:
    """Read definitions from YAML.

    Parameters
    ----------
    text : str
        The document.
    name : str
        The file's name, for messages.
    resolve : callable
        From a dotted path to the function there.

    Raises
    ------
    DefinitionError
        If the text is no YAML, a key stands twice, or a definition is wrong: with its place, its line
        and the nearest right name.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        lines = _lines(node, name)
        document = None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        raise DefinitionError(f"{name or 'the document'} is no valid YAML: {error}") from error
    finally:
        loader.dispose()
    return definitions_of(document, resolve=resolve, place=Place(locate=lambda path: _located(path, lines, name)))


def _located(path: Path, lines: dict[Path, int], name: str) -> str:
    while path and path not in lines:
        path = path[:-1]
    line = f"line {lines[path]}" if path in lines else ""
    return f" ({', '.join(part for part in (name, line) if part)})" if name or line else ""


def _lines(node: Node | None, name: str) -> dict[Path, int]:
    lines: dict[Path, int] = {}
    open_nodes: list[tuple[Path, Any]] = [((), node)]
    seen: set[int] = set()
    while open_nodes:
        path, inner = open_nodes.pop()
        if id(inner) in seen:
            continue
        seen.add(id(inner))
        if isinstance(inner, MappingNode):
            open_nodes += _children(inner, path, lines, name)
        elif isinstance(inner, SequenceNode):
            for index, item in enumerate(inner.value):
                lines[(*path, index)] = item.start_mark.line + 1
                open_nodes.append(((*path, index), item))
    return lines


def _children(node: MappingNode, path: Path, lines: dict[Path, int], name: str) -> list[tuple[Path, Any]]:
    found = []
    for key, value in node.value:
        at = (*path, str(key.value))
        first = lines.get(at)
        lines[at] = key.start_mark.line + 1
        if first is not None:
            raise DefinitionError(
                f"{Place(at)}{_located(at, lines, name)}: the key stands twice, first in line {first}."
            )
        found.append((at, value))
    return found
