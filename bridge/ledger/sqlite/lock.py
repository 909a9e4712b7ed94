"""The exclusive lock that makes this process the ledger's only writer."""

import fcntl
import os
from pathlib import Path

from bridge.ledger.protocol import LedgerInUseError


class ProcessLock:
    """Holds ``<ledger>.lock`` from construction to ``release``. The kernel lets go of it when the process dies.

    Raises ``LedgerInUseError`` when it is held already, by another process or by this one.
    """

    def __init__(self, ledger: Path) -> None:
        # The file stays after release: whoever removed it could take it away from under the next holder.
        self._descriptor = os.open(f"{ledger}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 20, 0).strip()
            self.release()
            raise LedgerInUseError(str(ledger), int(holder) if holder.isdigit() else None) from None
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let go. May be called more than once."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
