"""Configuration of the dense layers that most models of features have, and the tower that it makes."""

from __future__ import annotations

from typing import Annotated, Any

import pydantic

from tfrec_zoo.backbones.tower import Tower
from tfrec_zoo.models.feature_recommender import FeatureConfig

Units = Annotated[tuple[pydantic.PositiveInt, ...], pydantic.Field(min_length=1)]
Share = Annotated[float, pydantic.Field(ge=0, lt=1)]


class TowerConfig(FeatureConfig):
    """Dense layers over embedded features; the defaults are those of two towers.

    Attributes:
        units: Widths of the layers.
        dropout: Share of dropped activations.
        batch_norm: Whether layers are normalised.
    """

    units: Units = (300, 300, 128)
    dropout: Share = 0.3
    batch_norm: bool = True

    def make_tower(self, input_shape: tuple[int | None, ...], dtype: Any, linear: bool = False) -> Tower:
        """A built tower.

        Args:
            input_shape: Of its inputs; the last size is known.
            dtype: Precision or policy.
            linear: As of `Tower`.
        """
        tower = Tower(self.units, self.dropout, self.batch_norm, linear, dtype=dtype)
        tower.build(input_shape)
        return tower
