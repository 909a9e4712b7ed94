"""What a test or a bench can turn while the sandbox runs."""

from typing import Literal

import msgspec


class Settings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Latencies in seconds, the service protection limits of each identity (None: no limit), and what is unsettled.

    ``retry_after`` (whole seconds) is announced with a 429 of service protection; requests that arrive within
    ``grace`` seconds of it were on their way and are no violation. ``dop_hint`` is the ``x-ms-dop-hint`` header, None
    leaves it out. ``nested_rows_limit`` is how many rows one deep insert may hold. ``primary_key_conflict_code`` is one
    of the two codes that are seen for a taken primary key.
    """

    read_latency: float = 0.0
    write_latency: float = 0.0
    max_concurrent: int | None = 52
    requests_per_window: int | None = None
    window_seconds: float = 300.0
    retry_after: int = 1
    grace: float = 0.0
    dop_hint: int | None = 52
    nested_rows_limit: int | None = None
    page_size: int = 5000
    primary_key_conflict_code: Literal["0x80060892", "0x80040237"] = "0x80060892"
