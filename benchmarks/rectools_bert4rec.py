"""The neighbour to compare with: BERT4Rec of RecTools on the same log, by the same protocol.

Runs in an environment of its own, because it needs PyTorch:

    python -m venv .rectools && .rectools/bin/pip install "rectools[torch]==0.19.0" torch==2.13.0
    .rectools/bin/python benchmarks/rectools_bert4rec.py --input interactions.csv --epochs 200 --json rectools.json

Leave-one-out by time, the log's order on ties: with --split valid it trains on everything but each user's last two
items and ranks the last but one; with --split test it trains on everything but the last (as `tfrec train --refit` does)
and ranks that. Whole catalogue, seen items left out, a target without train rows is a miss. Width, blocks, heads,
dropout and length are those of the zoo's preset, everything else is RecTools' default. `--max-length 200` with a log of
6,000 users with 150 to 250 of 3,400 items gives the throughput on long histories.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import time
import warnings

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import BERT4RecModel


def main() -> None:
    """Trains, ranks every few epochs, prints a row of figures each time."""
    args = _arguments()
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(os.cpu_count() or 1)
    seed_everything(args.seed, verbose=False)
    train, targets = _split(pd.read_csv(args.input, dtype={"user_id": str, "item_id": str}), args.split)
    model = BERT4RecModel(
        n_blocks=2,
        n_heads=2,
        n_factors=64,
        dropout_rate=0.2,
        session_max_len=args.max_length,
        epochs=args.epochs,
        verbose=0,
    )
    dataset = Dataset.construct(train)
    sequences, seconds, rows = train["user_id"].nunique(), 0.0, []
    while len(rows) * args.evaluate_every < args.epochs:
        begin = time.perf_counter()
        model.fit_partial(dataset, min_epochs=args.evaluate_every, max_epochs=args.evaluate_every)
        seconds += time.perf_counter() - begin
        epochs = (len(rows) + 1) * args.evaluate_every
        metrics = _evaluate(model, dataset, targets) if not args.no_metrics else {}
        rate = {"sequences_per_s": round(sequences * epochs / seconds, 1)}
        rows.append({"epochs": epochs, "seconds": round(seconds, 1), **rate, **metrics})
        print(rows[-1], flush=True)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"split": args.split, "seed": args.seed, "users": len(targets), "rows": rows}, file, indent=1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", required=True, help="CSV with user_id, item_id, timestamp")
    parser.add_argument("--split", choices=("valid", "test"), default="valid")
    parser.add_argument("--max-length", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--evaluate-every", type=int, default=20, metavar="EPOCHS")
    parser.add_argument("--no-metrics", action="store_true", help="measure the throughput alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", help="write the figures here")
    return parser.parse_args()


def _split(log: pd.DataFrame, split: str) -> tuple[pd.DataFrame, pd.Series]:
    """Train rows in RecTools' columns, and the target item of every user with at least 3 rows."""
    log = log.sort_values(["user_id", "timestamp"], kind="stable")
    from_end = log.groupby("user_id").cumcount(ascending=False)
    long = log.groupby("user_id")["item_id"].transform("size") >= 3
    held_out = 2 if split == "valid" else 1
    train = log[~long | (from_end >= held_out)].copy()
    # Times that follow the log's order, so that ties keep it.
    train[Columns.Datetime] = pd.Timestamp(0) + pd.to_timedelta(train.groupby("user_id").cumcount(), "s")
    train[Columns.Weight] = 1
    targets = log[long & (from_end == held_out - 1)].set_index("user_id")["item_id"]
    return train[["user_id", "item_id", Columns.Datetime, Columns.Weight]], targets


def _evaluate(model: BERT4RecModel, dataset: Dataset, targets: pd.Series) -> dict[str, float]:
    recommended = model.recommend(users=targets.index.to_numpy(), dataset=dataset, k=10, filter_viewed=True)
    hits = recommended[recommended["item_id"] == recommended["user_id"].map(targets)]
    gain = 1 / np.log2(hits["rank"] + 1)
    return {"ndcg@10": round(gain.sum() / len(targets), 5), "hr@10": round(len(hits) / len(targets), 5)}


if __name__ == "__main__":
    main()
