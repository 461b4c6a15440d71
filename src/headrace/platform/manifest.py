"""Manifests: what a training set was made of, so that the same bytes can be made again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import xxhash

from headrace.definitions.fingerprint import on_demand_fingerprint, service_fingerprint, view_fingerprint
from headrace.definitions.services import FeatureService
from headrace.errors import ManifestError
from headrace.lake.durable import make_folder, sync_file, write_file

if TYPE_CHECKING:
    from headrace.platform.labels import Labels
    from headrace.platform.training_set import Options

FORMAT = 1
LIBRARIES = ("headrace", "polars", "numpy", "narwhals", "deltalake")
_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a training set was made of.

    Parameters
    ----------
    service : str
        The service's name.
    fingerprints : mapping of str to str
        Those of the service, its views and on-demand features, as ``view:driver_now``.
    versions : mapping of str to int
        The table version that each view was read from.
    options : mapping
        How it was made.
    labels_digest, result_digest : str
        Of the labels' rows, and of the bytes of the result's file.
    libraries : mapping of str to str
        Versions of what computed it.
    """

    service: str
    fingerprints: dict[str, str]
    versions: dict[str, int]
    options: dict[str, Any]
    labels_digest: str
    libraries: dict[str, str]
    result_digest: str = ""

    @classmethod
    def of(cls, service: FeatureService, options: Options, versions: dict[str, int], labels: Labels) -> Manifest:
        """The manifest of a training set that is being made."""
        chosen = {name: getattr(options, name) for name in ("time", "known", "on_incomplete", "statuses")}
        libraries = {name: version(name) for name in LIBRARIES}
        return cls(service.name, fingerprints(service), dict(versions), chosen, labels.digest(), libraries)

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a manifest's file, or that of a training set's folder."""
        file = path / _NAME if path.is_dir() else path
        if not file.is_file():
            raise ManifestError(f"there is no manifest at {file}. Give the folder that training_set(to=…) wrote.")
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            if content.pop("format") != FORMAT:
                raise ManifestError(f"{file} was written by another version of headrace.")
            return cls(**content)
        except (ValueError, KeyError, TypeError) as error:
            raise ManifestError(f"{file} is no manifest of a training set: {error}") from error

    def text(self) -> str:
        """As it is written."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({"format": FORMAT, **fields}, indent=2, sort_keys=True)


def fingerprints(service: FeatureService) -> dict[str, str]:
    """The fingerprints of everything that decides a service's values."""
    views = {f"view:{s.view.name}": view_fingerprint(s.view) for s in service.read_selections}
    functions = {f"on_demand:{item.name}": on_demand_fingerprint(item) for item in service.on_demand}
    return {f"service:{service.name}": service_fingerprint(service), **views, **functions}


def save_training_set(folder: Path, labels: Labels, result: pl.DataFrame, manifest: Manifest) -> None:
    """Write the labels, the result and, last, the manifest."""
    make_folder(folder)
    write_parquet(labels.frame, folder / "labels.parquet")
    digest = write_parquet(result, folder / "training_set.parquet")
    fields = {name: getattr(manifest, name) for name in manifest.__slots__} | {"result_digest": digest}
    write_file(folder / _NAME, Manifest(**fields).text().encode())


def write_parquet(frame: pl.DataFrame, path: Path) -> str:
    """Write a frame to a file, and return the digest of its bytes."""
    frame.write_parquet(path, compression="zstd", statistics=True, row_group_size=500_000)
    sync_file(path)
    return file_digest(path)


def file_digest(path: Path) -> str:
    """A digest of a file's bytes."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
