"""Reading the answers of outside systems into models that declare what is needed of them, and nothing more."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from connectors.outcome import TransientError

Shape = TypeVar("Shape", bound=BaseModel)


def understand(shape: type[Shape], answer: object, what: str, peer: str) -> Shape:
    """Read an answer of ``peer`` (its name, as people write it) as ``shape``; ``what`` says what was asked for.

    Raises ``TransientError`` (``bad_answer``) when it does not have the shape.
    """
    try:
        return shape.model_validate(answer)
    except ValidationError as error:
        places = ", ".join(sorted({".".join(map(str, found["loc"])) or "the whole answer" for found in error.errors()}))
        raise TransientError(
            "bad_answer",
            f"{peer}'s {what} does not have the expected shape ({places}). It is read again later; if it stays so, "
            f"compare {peer}'s answer with docs/{peer.lower()}.md.",
        ) from error
