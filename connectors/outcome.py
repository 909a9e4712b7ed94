"""How a call to an outside system can end other than well: one exception for each consequence.

The consequence is what the caller acts on; ``code`` says what happened, is stable and stands in ``docs/errors.md``.
"""

from mappings.plan import Problem


class OutcomeError(Exception):
    """A step did not end well. ``code`` is stable; ``message`` says what happened and what to do next."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class TransientError(OutcomeError):
    """It had no effect and may go well later; ``retry_after`` in seconds wins over any schedule of ours."""

    def __init__(self, code: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(code, message)
        self.retry_after = retry_after


class ThrottledError(TransientError):
    """The outside system asks for a pause; the attempt is not counted. ``retry_after`` is always set, in seconds."""

    def __init__(self, code: str, message: str, *, retry_after: float) -> None:
        super().__init__(code, message, retry_after=retry_after)


class UnknownOutcomeError(TransientError):
    """A mutating request was sent and no answer came: whether it had its effect must be read, never assumed."""


class RejectedError(OutcomeError):
    """The data is refused. It is not tried again until document, mapping or target changes, or a person asks."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        if not problems:
            raise ValueError("a rejection names at least one problem")
        super().__init__(problems[0].code, "; ".join(problem.message for problem in problems))
        self.problems = problems


class SkippedError(OutcomeError):
    """Nothing is to be written for this document, by the mapping's own policy."""


class BlockedError(OutcomeError):
    """Nothing can be done until a person mends access or configuration; deliveries wait."""


class ConflictError(OutcomeError):
    """The outside system holds something else under our id. Both bodies are kept for a person to decide."""

    def __init__(self, code: str, message: str, *, sent: str, answered: str) -> None:
        super().__init__(code, message)
        self.sent = sent
        self.answered = answered


class CursorRefusedError(OutcomeError):
    """The source no longer knows the cursor: the window is read again from its start."""


class OutboxAbsentError(OutcomeError):
    """The source has no outbox. Not an outage: the tenant needs ``trigger: route``."""
