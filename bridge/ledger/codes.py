"""The stable codes of a ledger that cannot be used, each with its meaning and a remedy."""

from collections.abc import Mapping
from typing import Final

LEDGER_CODES: Final[Mapping[str, tuple[str, str]]] = {
    "lease_lost": (
        "Someone else has claimed the delivery or the poll since.",
        "Nothing: whoever claimed it goes on.",
    ),
    "ledger_closed": ("The ledger was closed, since the bridge stops.", "Start the bridge."),
    "ledger_error": (
        "The ledger cannot be opened, read or written.",
        "The message has the reason: check the path, its owner and its rights, and that it lies on a local disk.",
    ),
    "ledger_full": (
        "The disk is full. Nothing was lost: deliveries wait, and nothing is sent that could not be written down.",
        "Make room; the bridge goes on by itself.",
    ),
    "ledger_in_use": (
        "Another process holds this ledger.",
        "Stop the process that the message names, or use another `store`.",
    ),
    "ledger_key": (
        "The key beside the ledger, which addresses and secrets of subscribers are sealed with, cannot be used.",
        "Correct its owner and its rights, or restore it from the backup. Without it subscriptions are made anew.",
    ),
    "ledger_slow": ("The ledger did not answer within 5 s.", "Look at the disk."),
    "ledger_store": ("`store` names nothing that can be opened.", "Correct `store` in bridge.yaml."),
    "ledger_too_new": (
        "A newer version of the bridge has written this ledger.",
        "Run that version, or restore the backup from before the upgrade.",
    ),
}
