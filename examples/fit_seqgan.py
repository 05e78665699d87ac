"""SeqGAN by Keras' own `fit`: likelihood and the game with a discriminator, encoder and decoder in one LSTM.

    python examples/fit_seqgan.py --data DATA --output best.keras

DATA comes from `tfrec prepare`. The best model on valid (NDCG@10 over all items) is saved and evaluated on test, and
writes on the histories of three users.
"""

import argparse
import math

import keras

import tfrec_zoo


def main() -> None:
    """Trains, saves, evaluates and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--output", default="best.keras")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--adversarial-weight", type=float, default=1.0, help="lambda, of the policy gradient")
    parser.add_argument("--reconstruction-weight", type=float, default=0.1, help="beta, of the expected item vectors")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    keras.utils.set_random_seed(args.seed)
    spec = tfrec_zoo.DatasetSpec.read(args.data)
    network = {"dim": 64, "units": 64, "max_length": 50, "continuation": 5, "samples": 8}
    judge = {"widths": [1, 2, 3, 5], "filters": [32, 32, 32, 32]}
    weights = {"adversarial_weight": args.adversarial_weight, "reconstruction_weight": args.reconstruction_weight}
    model = tfrec_zoo.SeqGAN.from_spec(spec, {**network, **judge, **weights})
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
    for warning in model.warnings():
        print(warning)
    best = keras.saving.load_model(args.output)
    metrics = tfrec_zoo.Evaluator(best, spec, filter_seen=True)().metrics
    print({name: round(metrics[name], 4) for name in ("ndcg@10", "hr@10", "mrr")})
    history = next(iter(tfrec_zoo.evaluation_batches(spec, "test", batch_size=3)))["history"]
    print(best.generate(history, n=2, length=5, seed=args.seed, temperature=0.8, no_repeats=True).numpy())


if __name__ == "__main__":
    main()
