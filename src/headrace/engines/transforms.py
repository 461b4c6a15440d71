"""Running users' transforms: narwhals in, narwhals out, headrace's own columns kept."""

from __future__ import annotations

import polars as pl

from headrace.definitions.names import SYSTEM_PREFIX
from headrace.definitions.views import FeatureView
from headrace.errors import TransformError


def run_transform(view: FeatureView, frame: pl.DataFrame) -> pl.DataFrame:
    """Apply a view's transform, if it has one.

    Raises
    ------
    TransformError
        If the function raises, returns something else than a frame, or drops headrace's columns.
    """
    if view.transform is None:
        return frame
    import narwhals as nw

    place = f"{view.place}, transform {view.transform.path}"
    try:
        result = nw.to_native(view.transform(nw.from_native(frame, eager_only=True)))
    except Exception as error:
        raise TransformError(f"{place}: {type(error).__name__}: {error}") from error
    if not isinstance(result, pl.DataFrame):
        raise TransformError(f"{place}: returned {type(result).__name__}; return the frame it was given, changed.")
    lost = [name for name in frame.columns if name.startswith(SYSTEM_PREFIX) and name not in result.columns]
    if lost:
        raise TransformError(
            f"{place}: dropped {', '.join(lost)}, which headrace needs to know when a row counts. "
            "Use with_columns, filter, drop or explode rather than select."
        )
    return result
