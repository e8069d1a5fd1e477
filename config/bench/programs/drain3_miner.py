"""Drain3 at its defaults over messages, in an environment of its own: {clusters, seconds} as JSON on the last line.

Reads a JSON list of messages from the file that is named, and says the cluster of each as it was when it came.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from drain3 import TemplateMiner  # type: ignore[import-not-found]
from drain3.template_miner_config import TemplateMinerConfig  # type: ignore[import-not-found]


def main() -> None:
    messages = json.loads(Path(sys.argv[1]).read_text())
    miner = TemplateMiner(config=TemplateMinerConfig())
    began = time.process_time()
    clusters = [miner.add_log_message(message)["cluster_id"] for message in messages]
    seconds = time.process_time() - began
    sys.stdout.write(json.dumps({"clusters": clusters, "seconds": seconds}) + "\n")


if __name__ == "__main__":
    main()
