"""Entities: what a feature is a feature of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from headrace.definitions.names import checked_name
from headrace.errors import DefinitionError
from headrace.types import DataType

KEY_TYPES = ("Bool", "Date", "String", "Binary")


@dataclass(frozen=True, slots=True)
class Entity:
    """A thing that has features, named by one or more key columns.

    Parameters
    ----------
    name : str
        A lower-case identifier.
    keys : mapping of str to DataType
        The key columns, in order. Whole numbers, text, bytes, booleans and days can be keys.
    description : str
        For people.

    Examples
    --------
    >>> import headrace as hr
    >>> hr.Entity("driver", keys={"driver_id": hr.Int64}).key_names
    ('driver_id',)
    """

    name: str
    keys: Mapping[str, DataType]
    description: str = ""

    def __post_init__(self) -> None:
        """Check names and types."""
        checked_name("entity", self.name)
        object.__setattr__(self, "keys", MappingProxyType(dict(self.keys)))
        if not self.keys:
            raise DefinitionError(
                f"entity '{self.name}' has no keys. Leave entity=None in the view for a global feature."
            )
        for key, dtype in self.keys.items():
            if not (dtype.is_integer or dtype.name in KEY_TYPES):
                raise DefinitionError(
                    f"entity '{self.name}', key '{key}': {dtype} can't be a key, as equal keys may differ in their "
                    f"bits. Take a whole number, String, Binary, Bool or Date."
                )

    @property
    def key_names(self) -> tuple[str, ...]:
        """The names of the key columns."""
        return tuple(self.keys)
