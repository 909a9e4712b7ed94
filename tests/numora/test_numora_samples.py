"""The sandbox's samples are such as the shipped mapping files take, in every shape that Numora may give them."""

from collections import Counter
from pathlib import Path

import pytest

import mappings
from connectors.http import decode_json
from connectors.numora.models import Result, understand
from connectors.numora.sandbox import Shape, sample_documents
from connectors.numora.sandbox.samples import SCHEMAS, VENDORS
from connectors.numora.translate import to_document
from connectors.ports import Listing
from mappings.load import compile_mapping
from mappings.plan import WritePlan

LIBRARY = Path(mappings.__file__).parent / "library"


@pytest.mark.parametrize(
    "shape", [Shape(), Shape(cells="bare"), Shape(cells="mixed", nest="fields", line_id="line_id")]
)
def test_every_sample_is_mapped_without_a_problem(shape):
    shipped = {schema: LIBRARY / f"{schema}.dataverse.yaml" for schema in SCHEMAS}
    compiled = {
        schema: compile_mapping(path.read_text(encoding="utf-8"), str(path)) for schema, path in shipped.items()
    }

    mapped = Counter()
    for sample in sample_documents(30, seed=11, shape=shape):
        listing = Listing(sample.id, sample.schema, sample.status, sample.external_id, sample.metadata)
        document = to_document(listing, understand(Result, decode_json(sample.result()), "result"))
        plan = compiled[sample.schema].apply(document)
        assert isinstance(plan, WritePlan), plan
        assert len(plan.lines.rows if plan.lines else ()) == len(sample.line_items)
        mapped[sample.schema] += 1

    assert mapped == dict.fromkeys(SCHEMAS, 10)


def test_invoices_name_vendors_that_a_destination_can_be_given():
    codes = {vendor.code for vendor in VENDORS}

    invoices = [sample for sample in sample_documents(30) if sample.schema == "invoice_v2"]

    assert {sample.metadata["vendor_code"] for sample in invoices} <= codes
    assert len({sample.id for sample in sample_documents(300)}) == 300
