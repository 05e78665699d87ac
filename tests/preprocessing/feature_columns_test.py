import numpy as np
import tensorflow as tf

from tfrec_zoo.preprocessing.feature_columns import COUNT, NUMBER, FeatureColumn, FeatureColumns, to_inputs


def test_the_columns_of_a_dataset(rated):
    columns = FeatureColumns.of_dataset(rated)
    kinds = {column.name: column.kind for column in (*columns.user, *columns.item)}
    assert kinds == {
        "user_id": "category",
        "gender": "category",
        "age": "number",
        "user_count": "count",
        "user_mean_label": "number",
        "history": "history",
        "item": "category",
        "genres": "several",
        "year": "number",
        "item_count": "count",
        "item_mean_label": "number",
    }
    # Nothing that is to be foretold, and nothing that is known only afterwards.
    assert not {"label", "rating", "time", "user"} & set(kinds)
    assert {column.name for column in columns.item} == {"item", "genres", "year", "item_count", "item_mean_label"}
    assert FeatureColumns.from_config(columns.to_config()) == columns


def test_values_that_are_missing_have_a_meaning():
    columns = [FeatureColumn("n", NUMBER), FeatureColumn("c", COUNT)]
    made = to_inputs({"n": tf.constant([np.nan, 2.0, np.inf]), "c": tf.constant([0, 9, -3], tf.int64)}, columns, 5)
    np.testing.assert_array_equal(made["n"], [0.0, 2.0, 0.0])
    np.testing.assert_allclose(made["c"], [0.0, np.log(10.0), 0.0])
