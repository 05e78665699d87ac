"""cgan by Keras' own `fit`: two towers, and a generator of item vectors that a discriminator judges.

    python examples/fit_cgan.py --data DATA --output best.keras

DATA comes from `tfrec prepare --views sequences,interactions,items --negatives 0`. The best model on valid (NDCG@10
over all items) is saved and evaluated on test, and draws three vectors of items for one user.
"""

import argparse
import math

import keras
import tensorflow as tf

import tfrec_zoo


def main() -> None:
    """Trains, saves, evaluates and draws."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--output", default="best.keras")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    keras.utils.set_random_seed(args.seed)
    spec = tfrec_zoo.DatasetSpec.read(args.data)
    towers = {"units": [64, 32], "dropout": 0.1, "batch_norm": False, "unknown_rate": 0.1}
    model = tfrec_zoo.CGAN.from_spec(spec, {**towers, "discriminator_learning_rate": 1e-3})
    model.compile(optimizer=keras.optimizers.Adam(args.learning_rate))

    batches = tfrec_zoo.interaction_batches(spec, args.batch_size, model.history_length, seed=args.seed)
    model.fit(
        batches.map(model.training_inputs).prefetch(4),
        epochs=args.epochs,
        steps_per_epoch=math.ceil(tfrec_zoo.interaction_rows(spec) / args.batch_size),
        callbacks=[
            tfrec_zoo.RankingValidation(spec),
            keras.callbacks.ModelCheckpoint(args.output, monitor="val_ndcg@10", mode="max", save_best_only=True),
        ],
        verbose=2,
    )
    for warning in model.warnings():
        print(warning)
    best = keras.saving.load_model(args.output)
    metrics = tfrec_zoo.CatalogueEvaluator(best, spec, filter_seen=True)().metrics
    print({name: round(metrics[name], 4) for name in ("ndcg@10", "hr@10", "mrr")})

    row = next(iter(tfrec_zoo.interaction_batches(spec, 1, model.history_length)))
    user = best.user_vectors(best.inputs(row), training=False)
    for seed in range(3):
        noise = tf.random.stateless_uniform((1, best.config.noise_dim), (args.seed, seed), -1.0, 1.0)
        print(best.generate(user, noise).numpy().round(3).tolist())


if __name__ == "__main__":
    main()
