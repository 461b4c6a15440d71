"""Every error that headrace raises on purpose, under one root.

::

    HeadraceError
    ├── DefinitionError        a definition is wrong: raised when it is built
    │   ├── UnknownNameError   a name is not there: says the nearest right one
    │   └── TransformError     a transform is not row-wise, or lost its rows
    ├── TimeError              a naive time, an unknown zone, a malformed duration
    ├── SettingsError          headrace.toml, or an environment variable, is missing or wrong
    ├── SourceError            input can't be read: missing, truncated, empty, of the wrong form
    │   ├── SchemaChangedError a column was dropped or retyped upstream
    │   └── RejectedError      too large a share of a batch failed its contract
    ├── LakeError              the lake can't be read or written
    │   └── ConflictError      a second writer was there first
    ├── RegistryError          the registry can't be read or written
    │   └── LeaseLostError     another process took over what this one was publishing
    ├── OnlineStoreError       the online store can't be read or written
    ├── StreamError            a stream can't be read, or what it writes to can't be written
    │   ├── AgedOutError       records that are still to be read are not kept any more
    │   ├── FencedError        another process took over what this one was streaming
    │   ├── StateError         what a stream remembers does not fit what it finds
    │   └── UnreachableError   the brokers can't be reached: it passes by itself
    ├── AuditError             a candidate failed its audit: nobody can read it
    ├── HeldError              a view is held since a rollback: nothing is published until its release
    ├── VersionGoneError       a version's files were removed by vacuum
    ├── NotAppliedError        the definitions in force are not those of the project
    ├── IncompleteError        a time lies outside what a view is complete for
    ├── OverflowRefusedError   an exact aggregate does not fit its type
    └── ManifestError          a training set can't be rebuilt to the byte

A message names what failed, where, what was found and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class HeadraceError(Exception):
    """The root of all errors that headrace raises on purpose."""


class DefinitionError(HeadraceError):
    """A definition contradicts itself or the rules of the platform."""


_LONGEST_NAME = 200
"""In characters: what is longer is no mistyped name, and looking for its like would take long."""


class UnknownNameError(DefinitionError):
    """A name was used that does not exist where it was looked up."""

    @classmethod
    def of(cls, what: str, name: str, known: Iterable[str], where: str) -> UnknownNameError:
        """Build the error with the nearest right name as a hint.

        Parameters
        ----------
        what : str
            The kind of thing looked up ("column", "view", …).
        name : str
            What was asked for.
        known : iterable of str
            The names that exist there.
        where : str
            The place of the mistake, such as ``view 'driver_now', feature 'speed'``.

        Examples
        --------
        >>> print(UnknownNameError.of("column", "spede", ["speed", "lat"], "view 'v'"))
        view 'v': there is no column 'spede'. Did you mean 'speed'? There are: lat, speed.
        """
        names = sorted(known)
        near = get_close_matches(name, names, n=1, cutoff=0.5) if len(name) <= _LONGEST_NAME else []
        name = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
        hint = f" Did you mean '{near[0]}'?" if near else ""
        listed = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
        return cls(f"{where}: there is no {what} '{name}'.{hint} There are: {listed or 'none'}.")


class TransformError(DefinitionError):
    """A transform is not row-wise, or failed on a sample."""


class TimeError(HeadraceError):
    """A time or a duration can't be understood without guessing."""


class SettingsError(HeadraceError):
    """The project's settings are missing or wrong."""


class SourceError(HeadraceError):
    """The input of a source can't be read."""


class SchemaChangedError(SourceError):
    """A column of the input was dropped or changed its type."""


class RejectedError(SourceError):
    """A batch's rejected share passed the source's limit: nothing was published."""


class LakeError(HeadraceError):
    """The lake can't be read or written."""


class ConflictError(LakeError):
    """Another writer changed the same part of a table first."""


class RegistryError(HeadraceError):
    """The registry can't be read or written."""


class LeaseLostError(RegistryError):
    """Another process took over the lease under which this one was writing."""


class OnlineStoreError(HeadraceError):
    """The online store can't be read or written."""


class StreamError(HeadraceError):
    """A stream can't be read, or what it writes to can't be written."""


class AgedOutError(StreamError):
    """Records that are still to be read are not kept by their log any more."""


class FencedError(StreamError):
    """Another process took over what this one was streaming: nothing of this one is written."""


class StateError(StreamError):
    """What a stream remembers does not fit what it finds: definitions, offsets or files have changed under it."""


class UnreachableError(StreamError):
    """A log's brokers can't be reached now: it may be over in a moment, and nothing has to be changed for it."""


class AuditError(HeadraceError):
    """A candidate failed its audit; what was published before is still what everybody reads."""


class HeldError(HeadraceError):
    """A view is held: nothing is published until it is released."""


class VersionGoneError(HeadraceError):
    """The files of a published version were removed by vacuum."""


class NotAppliedError(HeadraceError):
    """What was asked for has not been applied, or not been backfilled."""


class IncompleteError(HeadraceError):
    """A time lies outside of the span that a view is complete for."""


class OverflowRefusedError(HeadraceError):
    """An exact sum does not fit into its type."""


class ManifestError(HeadraceError):
    """What a manifest names is gone or differs: the same bytes can't be made."""
