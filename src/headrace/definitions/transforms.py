"""Functions that users write, and what identifies them: their dotted path, text and version."""

from __future__ import annotations

import hashlib
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, overload

from headrace.definitions.names import checked_name
from headrace.errors import DefinitionError
from headrace.types import DataType


@dataclass(frozen=True, slots=True)
class Transform:
    """A row-wise function on a view's rows: narwhals frame in, narwhals frame out.

    It may filter, derive columns, explode lists and map keys; what it makes of a row may depend on
    nothing but that row. ``apply`` runs it on a sample in other orders and splits, and refuses it
    if the result differs.

    Parameters
    ----------
    function : callable
        ``(rows: narwhals.DataFrame) -> narwhals.DataFrame``. Keep the other columns
        (``with_columns``, ``filter``, ``explode``): headrace's own are among them.
    version : str
        Raise it when something that the function calls has changed its meaning.
    """

    function: Callable[[Any], Any]
    version: str = ""
    path: str = field(default="")

    def __post_init__(self) -> None:
        """Find the dotted path."""
        object.__setattr__(self, "path", self.path or dotted_path(self.function))

    def __call__(self, rows: Any) -> Any:
        """Apply the function."""
        return self.function(rows)

    @property
    def name(self) -> str:
        """The function's own name."""
        return self.path.rpartition(".")[2]


@overload
def transform(function: Callable[[Any], Any]) -> Transform: ...
@overload
def transform(*, version: str = "") -> Callable[[Callable[[Any], Any]], Transform]: ...
def transform(
    function: Callable[[Any], Any] | None = None, *, version: str = ""
) -> Transform | Callable[[Callable[[Any], Any]], Transform]:
    """Declare a row-wise transform (a decorator, with or without ``version=``)."""
    if function is None:
        return lambda inner: Transform(inner, version)
    return Transform(function, version)


@dataclass(frozen=True, slots=True)
class RequestTime:
    """The time of a request, or of a label: a `Timestamp` that an on-demand feature asks for."""


@dataclass(frozen=True, slots=True)
class OnDemand:
    """Features computed at request time from other features and the request.

    Parameters
    ----------
    name : str
        The function's name; outputs appear as ``name__output``.
    function : callable
        Takes narwhals Series by the names of its parameters (a feature's name, or ``view__feature``
        where two inputs share it, or a request column's name) and returns a Series, or a mapping of
        output names to Series.
    inputs : tuple
        Views and features whose values it reads.
    request : mapping of str to DataType or RequestTime
        What must come with the request, or with the labels.
    outputs : mapping of str to DataType
        What it makes.
    version : str
        As in `Transform`.
    """

    name: str
    function: Callable[..., Any]
    inputs: tuple[Any, ...]
    request: Mapping[str, DataType | RequestTime]
    outputs: Mapping[str, DataType]
    version: str = ""
    description: str = ""
    path: str = field(default="")

    def __post_init__(self) -> None:
        """Check the outputs and find the dotted path."""
        checked_name("on-demand", self.name)
        object.__setattr__(self, "path", self.path or dotted_path(self.function))
        object.__setattr__(self, "inputs", tuple(self.inputs))
        if not self.outputs:
            raise DefinitionError(f"on_demand '{self.name}' declares no outputs: outputs={{'available': hr.Bool}}.")

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the function's parameters, in order."""
        return tuple(inspect.signature(self.function).parameters)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Apply the function."""
        return self.function(*args, **kwargs)


def on_demand(
    *,
    inputs: list[Any] | tuple[Any, ...] = (),
    request: Mapping[str, DataType | RequestTime] | None = None,
    outputs: Mapping[str, DataType],
    version: str = "",
    description: str = "",
) -> Callable[[Callable[..., Any]], OnDemand]:
    """Declare an on-demand feature (a decorator); see `OnDemand` for the parameters."""

    def wrap(function: Callable[..., Any]) -> OnDemand:
        return OnDemand(
            function.__name__, function, tuple(inputs), dict(request or {}), dict(outputs), version, description
        )

    return wrap


def dotted_path(function: Callable[..., Any]) -> str:
    """Where a function can be imported from; lambdas and inner functions have no such place."""
    path = f"{function.__module__}.{function.__qualname__}"
    if "<" in function.__qualname__.replace("<locals>", ""):
        raise DefinitionError(f"{path}: a lambda can't be named in a definition: write a function with `def`.")
    return path


def text_digest(function: Callable[..., Any], version: str) -> str:
    """What tells one text of a function from another: a hash of its source and `version`."""
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        text = function.__code__.co_code.hex() + repr(function.__code__.co_consts)
    return hashlib.blake2b(f"{text}\0{version}".encode(), digest_size=16).hexdigest()
