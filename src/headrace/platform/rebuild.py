"""Making a training set again from its manifest, to the byte."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from headrace.errors import ManifestError
from headrace.platform.gold import Gold
from headrace.platform.labels import parse_labels
from headrace.platform.manifest import LIBRARIES, Manifest, fingerprints, save_training_set
from headrace.platform.pinned import pin_versions, resolved
from headrace.platform.training_set import Options, joined

if TYPE_CHECKING:
    from headrace.platform.context import Context


def rebuild(context: Context, manifest_path: Path, to: Path) -> pl.DataFrame:
    """Rebuild a training set in another folder, from the versions that its manifest pins.

    Raises
    ------
    ManifestError
        If a definition, the labels or a table is not what it was, or the result differs.
    """
    manifest = Manifest.read(manifest_path)
    folder = manifest_path if manifest_path.is_dir() else manifest_path.parent
    service = resolved(context, context.definitions.service(manifest.service))
    _check_definitions(fingerprints(service), manifest)
    options = Options(**manifest.options)
    labels = parse_labels(folder / "labels.parquet", options.time, service)
    if labels.digest() != manifest.labels_digest:
        raise ManifestError(f"{folder / 'labels.parquet'} is not the file that the training set was made for.")
    if options.known == "then":
        chosen = {each.reference: each.view for each in service.read_selections}
        golds = {name: Gold.unpublished(context.lake, view) for name, view in chosen.items()}
        pin_versions(context, to, {name: gold.at(manifest.versions[name]) for name, gold in golds.items()})
    result = joined(context, labels, service, options, manifest.versions)
    save_training_set(to, labels, result, Manifest.of(service, options, manifest.versions, labels))
    _check_result(Manifest.read(to), manifest, to)
    return result


def _check_definitions(now: dict[str, str], manifest: Manifest) -> None:
    changed = [name for name, found in manifest.fingerprints.items() if now.get(name) != found]
    if changed:
        raise ManifestError(
            f"{', '.join(changed)} changed since the training set was made. Check out the definitions of that time."
        )


def _check_result(made: Manifest, wanted: Manifest, to: Path) -> None:
    if made.result_digest == wanted.result_digest:
        return
    others = [f"{name} {wanted.libraries[name]} (now {version(name)})" for name in LIBRARIES
              if wanted.libraries[name] != version(name)]  # fmt: skip
    hint = f" It was made with {', '.join(others)}." if others else ""
    raise ManifestError(f"the training set in {to} differs from the one that the manifest describes.{hint}")
