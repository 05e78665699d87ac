"""The models of labels - two towers (DSSM, IntTower) and rankers (NCF, DIN, DeepFM) - by Keras' own `fit`.

    python examples/fit_label_model.py --model inttower --data DATA --output best.keras

DATA comes from `tfrec prepare --views interactions --label RULE`. The best model on valid (AUC) is saved and evaluated
on test.
"""

import argparse
import math

import keras

import tfrec_zoo

MODELS = ("dssm", "inttower", "ncf", "din", "deepfm")


def main() -> None:
    """Trains, saves and evaluates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=MODELS, default=MODELS[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--output", default="best.keras")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    keras.utils.set_random_seed(args.seed)
    spec = tfrec_zoo.DatasetSpec.read(args.data)
    model = tfrec_zoo.get_model(args.model).from_spec(spec)
    model.compile(optimizer=keras.optimizers.Adam(args.learning_rate))

    batches = tfrec_zoo.interaction_batches(spec, args.batch_size, model.history_length, seed=args.seed)
    model.fit(
        batches.map(model.training_inputs).prefetch(4),
        epochs=args.epochs,
        steps_per_epoch=math.ceil(tfrec_zoo.interaction_rows(spec) / args.batch_size),
        callbacks=[
            tfrec_zoo.LabelValidation(spec),
            keras.callbacks.ModelCheckpoint(args.output, monitor="val_auc", mode="max", save_best_only=True),
            keras.callbacks.EarlyStopping("val_auc", mode="max", patience=4),
        ],
        verbose=2,
    )
    metrics = tfrec_zoo.PointwiseEvaluator(keras.saving.load_model(args.output), spec)().metrics
    print({name: round(metrics[name], 4) for name in ("auc", "gauc", "logloss")})


if __name__ == "__main__":
    main()
