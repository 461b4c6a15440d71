"""The victim: the ``headrace`` command with small batches, spans and loads, so that few rows take many commits.

``python -m benchmarks.killing.command ingest --project DIR``
"""

from __future__ import annotations

from headrace.cli.main import main
from headrace.platform import landing, online_content, spans

ROWS_AT_ONCE = 400
ENTITIES_AT_ONCE = 6

if __name__ == "__main__":
    landing.BATCH_ROWS = ROWS_AT_ONCE  # type: ignore[misc]
    spans.ROWS_A_SPAN = ROWS_AT_ONCE
    online_content.ENTITIES_AT_ONCE = ENTITIES_AT_ONCE
    from headrace.platform import backfill

    backfill.SAVE_EVERY_SECONDS = 0.0
    main()
