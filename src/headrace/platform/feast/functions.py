"""A function of a repository by its text, with the imports and the module-level names that it uses."""

from __future__ import annotations

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headrace.platform.feast.recording import PACKAGE, Recorded

_Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Function:
    """A function as it comes along.

    Parameters
    ----------
    name : str
        Its name.
    text : str
        Its text without decorators, indented by four spaces, to be put inside of another function.
    columns : frozenset of str or None
        Which columns of its first parameter it reads; None where it may be any.
    words : frozenset of str
        All texts in it.
    """

    name: str
    text: str
    columns: frozenset[str] | None
    words: frozenset[str]


@dataclass(slots=True)
class Surroundings:
    """What functions need beside themselves, each once.

    Parameters
    ----------
    root : Path
        The repository's folder: modules there do not come along as modules.
    modules : mapping of Path to module
        Its files, as they were run.
    """

    root: Path
    modules: Mapping[Path, Any]
    imports: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    _trees: dict[Path, ast.Module] = field(default_factory=dict)

    def take(self, function: Callable[..., Any]) -> tuple[Function | None, list[str]]:
        """A function and what it needs; or None, and why it can't come along."""
        try:
            file = Path(inspect.getsourcefile(function) or "").resolve()
            text = textwrap.dedent(inspect.getsource(function))
            node = ast.parse(text).body[0]
        except (OSError, TypeError, SyntaxError) as error:
            return None, [f"its text can't be read ({error})"]
        if not isinstance(node, ast.FunctionDef):
            return None, ["it is a lambda: write it with `def`"]
        if file not in self.modules:
            return None, [f"it is not written in the repository but in {file.name}"]
        imports, texts = list(self.imports), dict(self.texts)
        node.decorator_list = []  # Feast's own
        problems = self._resolve(node, file)
        if problems:
            self.imports, self.texts = imports, texts
            return None, problems
        parameter = node.args.args[0].arg if node.args.args else ""
        words = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
        return Function(node.name, _indented(node, text), _columns(node, parameter), frozenset(words)), []

    def names(self) -> set[str]:
        """The names of all that was taken."""
        lines = (statement for line in self.imports for statement in ast.parse(line).body)
        return {name for line in lines for name in _binds(line)} | set(self.texts)

    def _resolve(self, node: ast.AST, file: Path) -> list[str]:
        return [problem for name in sorted(_free(node)) for problem in self._bring(name, file)]

    def _bring(self, name: str, file: Path) -> list[str]:
        if isinstance(vars(self.modules[file]).get(name), Recorded):
            return [f"it uses '{name}', which is of Feast's own kind"]
        found = next((s for s in _statements(self._tree(file).body) if name in _binds(s)), None)
        if found is None:
            return [f"it uses '{name}', which is not written at the top of {file.name}"]
        if isinstance(found, ast.Import | ast.ImportFrom):
            return self._import(found, name, file)
        return self._text(found, name, file)

    def _import(self, statement: ast.Import | ast.ImportFrom, name: str, file: Path) -> list[str]:
        alias = next(a for a in statement.names if (a.asname or a.name.partition(".")[0]) == name)
        module = statement.module or "" if isinstance(statement, ast.ImportFrom) else alias.name
        if module.partition(".")[0] == PACKAGE:
            return [f"it uses '{name}' of Feast itself"]
        own = self._own(module)
        if own is None:
            made = type(statement)(**{**dict(ast.iter_fields(statement)), "names": [alias]})
            line = ast.unparse(made)
            self.imports += [line] if line not in self.imports else []
            return []
        if isinstance(statement, ast.ImportFrom) and alias.asname in (None, alias.name):
            return self._bring(alias.name, own)
        return [f"it uses the repository's module '{module}' by the name '{name}': import what it needs one by one"]

    def _text(self, statement: ast.stmt, name: str, file: Path) -> list[str]:
        source = file.read_text(encoding="utf-8")
        text = ast.get_source_segment(source, statement) or ""
        if isinstance(statement, _Scope):
            text = _with_decorators(source, statement, text)
        if self.texts.get(name, text) != text:
            return [f"two different things are called '{name}' in the repository's files"]
        if name in self.texts:
            return []
        self.texts[name] = text  # before its own names: it may name itself
        problems = self._resolve(statement, file)
        self.texts[name] = self.texts.pop(name)  # behind what it needs
        return problems

    def _own(self, module: str) -> Path | None:
        file = (self.root / Path(*module.split("."))).with_suffix(".py") if module else self.root
        return file if file in self.modules else None

    def _tree(self, file: Path) -> ast.Module:
        if file not in self._trees:
            self._trees[file] = ast.parse(file.read_text(encoding="utf-8"))
        return self._trees[file]


def _with_decorators(source: str, statement: _Scope, text: str) -> str:
    if not statement.decorator_list:
        return text
    lines = source.splitlines()
    return "\n".join(lines[statement.decorator_list[0].lineno - 1 : statement.end_lineno])


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Those of a module, also inside of ``if`` and ``try``."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try):
            yield from _statements([*statement.body, *statement.orelse])


def _binds(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    if isinstance(statement, _Scope):
        return {statement.name}
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        return _stored(statement)
    return set()


def _stored(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}


def _free(node: ast.AST) -> set[str]:
    """The names that a statement reads and does not make."""
    read = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    given = {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
    named = {n.name for n in ast.walk(node) if isinstance(n, _Scope)}
    imported = {name for n in ast.walk(node) if isinstance(n, ast.Import | ast.ImportFrom) for name in _binds(n)}
    own = given | named | imported | (_stored(node) if isinstance(node, _Scope) else set())
    return read - own - set(vars(builtins)) - {"__file__", "__name__"}


def _indented(node: ast.FunctionDef, text: str) -> str:
    """The text four spaces further in; but not where a line is part of a text of several lines."""
    texts = [n for n in ast.walk(node) if isinstance(n, ast.JoinedStr | ast.Constant)]
    inside = {line for n in texts for line in range(n.lineno + 1, (n.end_lineno or n.lineno) + 1)}
    lines = enumerate(text.splitlines(), start=1)
    own = [(number, line) for number, line in lines if node.lineno <= number <= (node.end_lineno or number)]
    return "\n".join(line if number in inside or not line.strip() else f"    {line}" for number, line in own)


def _columns(node: ast.FunctionDef, parameter: str) -> frozenset[str] | None:
    """The columns that are read as ``inputs["name"]``; None where the parameter is used in any other way."""
    plain = [n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id == parameter]
    read = [
        (n.value, n.slice.value)
        for n in ast.walk(node)
        if isinstance(n, ast.Subscript) and n.value in plain
        and isinstance(n.slice, ast.Constant) and isinstance(n.slice.value, str)
    ]  # fmt: skip
    return frozenset(name for _, name in read) if len(read) == len(plain) else None
