"""Every TF_CONFIG that docs/distributed.md shows is one."""

import re
from pathlib import Path

from tfrec_zoo.training.cluster import Cluster

PAGE = (Path(__file__).parents[2] / "docs" / "distributed.md").read_text(encoding="utf-8")


def test_the_shown_tf_configs_are_valid() -> None:
    of_workers, of_servers = (Cluster.parse(text) for text in re.findall(r"export TF_CONFIG='(.*?)'", PAGE, re.DOTALL))
    assert of_workers is not None
    assert of_workers.addresses == ("10.0.0.1:2222", "10.0.0.2:2222")
    assert of_servers is not None
    assert of_servers.tasks == ("chief", "worker 0", "worker 1", "ps 0")
    assert of_servers.is_chief
