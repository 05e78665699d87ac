"""The views: what the job can write of a log, a folder of TFRecord shards each.

How to add a view `clicks`:

1. `views/clicks.py`: a subclass of `View` (views/view.py). It gets sorted partitions (histories.py), the split that
   marks their events, and the vocabularies and features of all users and items (lookups.py), and yields `RecordSet`s;
   files, their names and their place in dataset.json are not its business. Sums over the train events of an item that
   it needs (say, of labels) come from `View.item_sums` and stand in the table `Lookups.items`.
2. One line in `VIEWS` below; `--views sequences,clicks` and dataset.json know it from then on.
3. Its own flags, if it has any: a module in options/ (see options/__init__.py).

This file imports nothing, because `tfrec prepare --help` lists the views.
"""

from __future__ import annotations

VIEWS = {
    "sequences": "beam_jobs.views.sequences:Sequences",
    "interactions": "beam_jobs.views.interactions:Interactions",
    "transfer": "beam_jobs.views.transfer:Transfer",
    "profiles": "beam_jobs.views.profiles:Profiles",
    "items": "beam_jobs.views.items:Items",
}
"""Name, which is also the folder -> module and class."""
