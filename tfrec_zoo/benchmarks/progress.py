"""What a benchmark of many trainings says on stderr while it runs."""

from __future__ import annotations

import sys
import time


def told(text: str) -> None:
    """Prints what is done, with the time of day: the next line may be minutes away."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
