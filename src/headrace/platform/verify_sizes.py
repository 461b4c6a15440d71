"""How large the values behind a float are: what decides by how much two ways of merging them may differ."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from headrace.definitions.transforms import Transform
from headrace.platform.lookup import steps_at
from headrace.platform.verify_values import MERGED

if TYPE_CHECKING:
    import polars as pl

    from headrace.definitions.aggregations import Aggregation
    from headrace.definitions.views import FeatureView
    from headrace.platform.verify_recomputing import Rows
    from headrace.platform.verify_values import Points

_SIZE: Final = "_hr_size_"
_RELATIVE: Final = 1e-9
_ULPS: Final = 64 * 2.0**-52
_OF_SIZES: Final = {"sum": "sum", "mean": "mean", "variance": "max", "stddev": "max"}


@dataclass(frozen=True)
class Sizes:
    """The sums, means or maxima of the magnitudes of each window's own rows; computed when first needed.

    Parameters
    ----------
    rows : Rows
        The rows that values are recomputed from.
    entities : frame
        The sampled entities.
    """

    rows: Rows
    entities: pl.DataFrame

    def error_allowed(
        self, name: str, made: Aggregation, wanted: NDArray[np.float64], points: Points
    ) -> NDArray[np.float64]:
        """By how much values of a feature may differ.

        A sum by 1e-9 of the sum of the magnitudes, a mean by that of their mean. A variance comes from
        differences of means, each rounded to some ulps of the greatest value: with such an error e its root is off
        by e, and so it is off by 2 e times its root, and e squared.
        """
        found, _ = steps_at(self._steps, points.question, [name])
        size = found[name].fill_null(0.0).to_numpy()
        if made.function in ("sum", "mean"):
            return np.asarray(_RELATIVE * size)
        e = _ULPS * size
        if made.function == "stddev":
            return np.asarray(_RELATIVE * wanted + e)
        return np.asarray(_RELATIVE * wanted + 2 * e * np.sqrt(wanted) + e * e)

    @cached_property
    def _steps(self) -> pl.DataFrame:
        return replace(self.rows, view=_of_magnitudes(self.rows.view)).steps(self.entities)


def _of_magnitudes(view: FeatureView) -> FeatureView:
    """The view with magnitudes for values."""
    merged = {name: made for name, made in view.features.items() if made.function in MERGED}
    features = {
        name: replace(made, function=_OF_SIZES[made.function], column=_SIZE + str(made.column), default=None)
        for name, made in merged.items()
    }
    columns = sorted({str(made.column) for made in merged.values()})
    return replace(view, features=features, transform=_with_sizes(view.transform, columns), checks=())


def _with_sizes(transform: Transform | None, columns: list[str]) -> Transform:
    def with_sizes(rows: Any) -> Any:
        import narwhals as nw

        made = rows if transform is None else transform(rows)
        return made.with_columns(nw.col(name).cast(nw.Float64).abs().alias(_SIZE + name) for name in columns)

    return Transform(with_sizes)
