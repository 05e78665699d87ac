"""PeterRec (pre-training) by Keras' own `fit`.

    python examples/fit_peterrec.py --data DATA --output best.keras

DATA comes from `tfrec prepare`. The best model on valid (NDCG@10 over all items) is saved and evaluated on test.
"""

import argparse
import math

import keras

import tfrec_zoo


def main() -> None:
    """Trains, saves and evaluates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--output", default="best.keras")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    keras.utils.set_random_seed(args.seed)
    spec = tfrec_zoo.DatasetSpec.read(args.data)
    model = tfrec_zoo.PeterRec.from_spec(spec, {"dilations": (1, 4, 1, 4), "dropout": 0.2})
    steps_per_epoch = math.ceil(tfrec_zoo.training_records(spec) / args.batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(args.learning_rate, args.epochs * steps_per_epoch)
    model.compile(optimizer=keras.optimizers.Adam(schedule))

    batches = tfrec_zoo.training_batches(spec, args.batch_size, model.history_length, seed=args.seed)
    model.fit(
        batches.map(model.training_inputs).prefetch(4),
        epochs=args.epochs,
        steps_per_epoch=steps_per_epoch,
        callbacks=[
            tfrec_zoo.RankingValidation(spec, every=5),
            keras.callbacks.ModelCheckpoint(args.output, monitor="val_ndcg@10", mode="max", save_best_only=True),
        ],
        verbose=2,
    )
    metrics = tfrec_zoo.Evaluator(keras.saving.load_model(args.output), spec, filter_seen=True)().metrics
    print({name: round(metrics[name], 4) for name in ("ndcg@10", "hr@10", "mrr")})


if __name__ == "__main__":
    main()
