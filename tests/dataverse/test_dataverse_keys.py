"""Ids of rows: the same on every try, different for everything else. Pure."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.dataverse.keys import digest, line_ids, lookup_row_id, note_id, row_id
from connectors.ports import DocumentKey

parts = st.text(max_size=12)


def test_the_id_of_a_document_never_changes() -> None:
    """A version that derives other ids would write every document a second time."""
    assert row_id(DocumentKey("acme", "doc-1")) == "7869c53c-0747-5010-8853-a5d5c767a97e"
    assert line_ids(DocumentKey("acme", "doc-1"), ["li_1"]) == ["108f2fdf-d153-5b85-92f9-0df6c017407d"]
    assert digest(DocumentKey("acme", "doc-1"), 32) == "9e6845fcc23771f6c4675ec2a8432868"


@given(parts, parts, parts, parts)
def test_no_two_documents_share_an_id(tenant: str, document: str, other_tenant: str, other_document: str) -> None:
    """However tenants and documents are named, also when their names run into each other."""
    one, other = DocumentKey(tenant, document), DocumentKey(other_tenant, other_document)
    assert (row_id(one) == row_id(other)) is (one == other)
    assert (digest(one) == digest(other)) is (one == other)


@given(parts, parts, parts)
def test_a_line_a_note_and_a_document_never_share_an_id(tenant: str, document: str, inner: str) -> None:
    key = DocumentKey(tenant, document)
    assert len({row_id(key), *line_ids(key, [inner]), note_id(key, inner)}) == 3


def test_the_alternate_key_is_plain_lower_case_hex() -> None:
    """Other characters could not be used to read a row by its key, or would be subject to a collation."""
    key = digest(DocumentKey("acme/ü?", "a&b'c"))
    assert len(key) == 64
    assert set(key) <= set(string.hexdigits.lower())


def test_the_alternate_key_is_cut_to_its_column_but_never_too_short() -> None:
    assert digest(DocumentKey("acme", "d"), 40) == digest(DocumentKey("acme", "d"))[:40]
    with pytest.raises(ValueError, match="at least 32"):
        digest(DocumentKey("acme", "d"), 31)


def test_a_row_that_a_lookup_creates_has_one_id_for_all_who_look_for_it() -> None:
    """Two documents with the same new vendor, at the same time, make one vendor."""
    org = "https://acme.crm4.dynamics.com"
    one = lookup_row_id(org, "account", [("name", "Contoso"), ("accountnumber", "V1")])
    assert one == lookup_row_id(org, "account", [("accountnumber", "V1"), ("name", "Contoso")])
    assert one == lookup_row_id(org, "account", [("name", "CONTOSO "), ("accountnumber", "v1")])
    assert one != lookup_row_id(org, "account", [("name", "ContosoV1"), ("accountnumber", "")])
    assert one != lookup_row_id(
        "https://other.crm4.dynamics.com", "account", [("name", "Contoso"), ("accountnumber", "V1")]
    )
