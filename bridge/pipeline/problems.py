"""Everything that is wrong with a document, by the mapping and by the destination, so that it is mended in one go."""

from connectors.outcome import OutcomeError, RejectedError
from connectors.ports import Destination, DocumentKey, RequestLog
from mappings.plan import Problem, Rejection


async def every_problem(
    destination: Destination, rejection: Rejection, key: DocumentKey, log: RequestLog
) -> tuple[Problem, ...]:
    """Return the mapping's problems, then those that the destination has with the rest of the document.

    Nothing is written. The document is rejected in any case, so what the destination does not answer is left out.
    """
    try:
        await destination.prepare(rejection.rest, key, log, create_missing=False)
    except RejectedError as error:
        return (*rejection.problems, *error.problems)
    except OutcomeError:
        pass
    return rejection.problems
