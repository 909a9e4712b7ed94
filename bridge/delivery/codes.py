"""The stable codes that the pipeline itself gives a delivery, each with what it leads to, its meaning and a remedy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class PipelineCode:
    """A stable code: the outcome that it stands for, what it means, and what a person is to do about it."""

    outcome: str
    meaning: str
    remedy: str


PIPELINE_CODES: Final[Mapping[str, PipelineCode]] = {
    "back_in_review": PipelineCode(
        "superseded",
        "The document went back to review before it was delivered.",
        "Nothing: once it is reviewed again it is delivered.",
    ),
    "document_gone": PipelineCode(
        "superseded", "The source no longer has the document.", "Nothing, unless it should still be there."
    ),
    "internal_error": PipelineCode(
        "retry",
        "The bridge met an error that nobody foresaw.",
        "Look into the log for the delivery's id, and report it.",
    ),
    "managed_deadline": PipelineCode(
        "parked",
        "The source was asked to deliver by its own means, and has not ended that in the time it is given.",
        "Look at the source what holds it up. A retry watches on, and asks again only if the document is no longer on "
        "its way there; `delivery.watch.deadline` gives it more time.",
    ),
    "managed_not_taken": PipelineCode(
        "retry",
        "The source was asked to deliver by its own means, and the document shows that the request had no effect.",
        "Nothing: it is asked again by the schedule.",
    ),
    "managed_push_failed": PipelineCode(
        "rejected",
        "The source's own delivery failed.",
        "Look at the source for the reason, mend it, then retry. A changed document is delivered by itself.",
    ),
    "mapping_mismatch": PipelineCode(
        "blocked",
        "The mapping does not fit the live target: a name or a type is wrong.",
        "Correct the mapping or the table. The message lists every place; `numora-bridge check` shows them as well.",
    ),
    "mapping_not_kept": PipelineCode(
        "rejected",
        "A retry with the same mapping was asked for, and the ledger does not hold that mapping.",
        "Retry with `latest`.",
    ),
    "newer_revision": PipelineCode(
        "superseded",
        "While the source delivered it by its own means, the document was changed and reviewed anew.",
        "Nothing: the newer content has a delivery of its own.",
    ),
    "no_mapping": PipelineCode(
        "rejected",
        "The tenant names no mapping for this schema.",
        "Add the schema under `mappings` of the tenant's file. What failed for it is looked at again then.",
    ),
    "report_undeliverable": PipelineCode(
        "parked",
        "The outcome stands, and could not be reported to the source in all the tries of the schedule.",
        "Mend the source: the same report is sent once it lists the document again. Or retry: the row is compared, and "
        "only the report is made anew.",
    ),
}
