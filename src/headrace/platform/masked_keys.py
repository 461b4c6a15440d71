"""Keys of entities that their source masks: labels and requests bring them as they are, tables hold them masked."""

from __future__ import annotations

import polars as pl

from headrace.definitions.personal import Mask
from headrace.definitions.views import FeatureView
from headrace.quality.masking import mask_key, mask_values


def key_masks(view: FeatureView) -> dict[str, Mask]:
    """How the view's source masks the columns of its entity's keys, by key."""
    personal = view.source.personal
    return {key: personal[column] for key, column in view.key_columns.items() if column in personal}


def masked_keys(view: FeatureView, keys: pl.DataFrame) -> pl.DataFrame:
    """Keys as the tables of a view hold them.

    Parameters
    ----------
    view : FeatureView
        The view.
    keys : polars.DataFrame
        A column a key, in the entity's types.

    Raises
    ------
    SettingsError
        If a key is hashed, and the environment has no key for that.
    """
    masks = key_masks(view)
    secret = mask_key() if any(mask.method == "hmac" for mask in masks.values()) else b""
    return keys.with_columns(mask_values(keys[key], mask, secret) for key, mask in masks.items() if key in keys.columns)
