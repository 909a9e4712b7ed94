"""Files as a person wrote them: what the values are, where they stand, and what is said of bad ones."""

import contextlib
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from mappings.findings import Finding, FindingsError
from mappings.yaml_source import MAX_CHARACTERS, decode_text, parse_yaml, validate


def only_finding(text: str) -> tuple[str, int | None, int | None, str | None]:
    with pytest.raises(FindingsError) as caught:
        parse_yaml(text, "f.yaml")
    (finding,) = caught.value.findings
    assert finding.file == "f.yaml"
    return finding.code, finding.line, finding.column, finding.key


def test_values_are_those_of_yaml_1_2_with_every_digit():
    """NO is a country, a fraction keeps its digits, a day is a date and has no time zone."""
    source = parse_yaml(
        "country: NO\nyes_no: yes\namount: 1234.50\nlong: 1234567890123456789.000\nday: 2026-01-31\n"
        "moment: 2026-01-31T10:00:00Z\nimpossible: 2026-02-31\nhex: 0x1f\nnothing:\ntrue_: true\nquoted: '1'\n"
        "grouped: 1_000\nlist: [1, ~]\n",
        "f.yaml",
    )
    assert source.value == {
        "country": "NO",
        "yes_no": "yes",
        "amount": Decimal("1234.50"),
        "long": Decimal("1234567890123456789.000"),
        "day": date(2026, 1, 31),
        "moment": "2026-01-31T10:00:00Z",
        "impossible": "2026-02-31",
        "hex": 31,
        "nothing": None,
        "true_": True,
        "quoted": "1",
        "grouped": "1_000",
        "list": [1, None],
    }
    assert str(source.value["amount"]) == "1234.50"
    assert type(source.value["country"]) is str


def test_a_position_counts_from_one_and_knows_keys_from_values():
    source = parse_yaml("a:\n  - b: 1\n    ccc:   x\n", "f.yaml")
    assert source.position(("a", 0, "ccc")) == (3, 12)
    assert source.position(("a", 0, "ccc"), key=True) == (3, 5)
    assert source.position(("a", 0)) == (2, 5)
    assert source.position(("a", 7, "x")) == (2, 3), "the nearest place above that exists"


def test_an_alias_is_the_value_it_names():
    source = parse_yaml("a: &same {x: 1}\nb: *same\n", "f.yaml")
    assert source.value == {"a": {"x": 1}, "b": {"x": 1}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("empty_file", 1, 1, None)),
        ("# only a comment\n", ("empty_file", 1, 1, None)),
        ("- 1\n", ("wrong_type", 1, 1, None)),
        ("just text", ("wrong_type", 1, 1, None)),
        ("a: 1\nb: {c: 1,\n  c: 2}\n", ("duplicate_key", 3, 3, "b.c")),
        ("a:\n\tb: 1\n", ("yaml_syntax", 2, 1, None)),
        ("a: [1\n", ("yaml_syntax", 2, 1, None)),
        ("a: b: c\n", ("yaml_syntax", 1, 5, None)),
        ("a: 1\nb: 'open\nc: 2\n\n", ("yaml_syntax", 2, 4, None)),
        ("a: @x\n", ("yaml_syntax", 1, 4, None)),
        ("a: 1\nb: \x01\n", ("yaml_syntax", 2, 4, None)),
        ('a: "\\U99999999"\n', ("yaml_syntax", 1, 1, None)),
        ("%YAML 1.9\n---\na: 1\n", ("yaml_syntax", 1, 1, None)),
        ("? [a]\n: 1\n", ("bad_key", 1, 3, None)),
        ("a: .nan\n", ("bad_value", 1, 4, "a")),
        ("a: -.inf\n", ("bad_value", 1, 4, "a")),
        ("a: " + "1" * 1001, ("bad_value", 1, 4, "a")),
        ('a: "\\ud800"\n', ("bad_value", 1, 4, "a")),
        ("a: !!python/object:os.system x\n", ("unknown_tag", 1, 4, "a")),
        ("a: !x {b: 1}\n", ("unknown_tag", 1, 4, "a")),
        ("a: *b\n", ("unknown_anchor", 1, 4, None)),
        ("a: &a [*a]\n", ("unknown_anchor", 1, 8, None)),
        ("a: 1\n---\nb: 1\n", ("more_documents", 2, 1, None)),
        ("a: " + "[" * 500, ("too_deep", 1, 36, None)),
        ("#" * (MAX_CHARACTERS + 1), ("too_large", 1, 1, None)),
    ],
)
def test_a_file_that_cannot_be_taken_is_told_with_its_place(text, expected):
    assert only_finding(text) == expected


def test_aliases_that_multiply_are_stopped():
    """A few lines of aliases of aliases would be a thousand million values."""
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert only_finding("\n".join(lines))[0] == "too_large"


def test_a_value_that_is_not_written_stands_at_its_key():
    """The scanner has it where the next thing begins, and whoever looks there sees another key."""
    source = parse_yaml("a:\n  b:\n\n# a word\nc: ~\nd: ''\n", "f.yaml")
    assert source.value == {"a": {"b": None}, "c": None, "d": ""}
    assert [source.position(path) for path in (("a", "b"), ("c",), ("d",))] == [(2, 3), (5, 4), (6, 4)]


def test_every_duplicate_key_is_told_at_once():
    with pytest.raises(FindingsError) as caught:
        parse_yaml("a: 1\na: 2\nb: {c: 1, c: 2}\n", "f.yaml")
    assert [(f.code, f.line, f.key) for f in caught.value.findings] == [
        ("duplicate_key", 2, "a"),
        ("duplicate_key", 3, "b.c"),
    ]


def test_bytes_that_are_not_utf8_are_told_with_their_place():
    with pytest.raises(FindingsError) as caught:
        decode_text(b"a: 1\nbc: \xff\n", "f.yaml")
    assert [(f.code, f.line, f.column) for f in caught.value.findings] == [("not_utf8", 2, 5)]
    with pytest.raises(FindingsError) as caught:
        decode_text(b"#" * (MAX_CHARACTERS * 4 + 1), "f.yaml")
    assert caught.value.findings[0].code == "too_large"
    assert decode_text(b"\xef\xbb\xbfa: 1", "f.yaml") == "a: 1"


class Header(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["header"]
    header: str


class Bearer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["bearer"]
    token: int = Field(default=1, ge=1)


class Sample(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    auth: Annotated[Header | Bearer, Field(discriminator="kind")] | None = None
    either: list[str | Header] = []
    numbers: dict[str, int] = {}
    level: Literal["low", "high"] = "low"


def findings_of(text: str) -> list[tuple[str, int | None, int | None, str | None]]:
    _model, findings = validate(Sample, parse_yaml(text, "f.yaml"))
    return [(finding.code, finding.line, finding.column, finding.key) for finding in findings]


def message_of(text: str) -> str:
    _model, findings = validate(Sample, parse_yaml(text, "f.yaml"))
    return findings[0].message


def test_everything_wrong_with_a_file_is_told_at_once_with_its_place():
    """The members of a union are in the model and not in the file: no path names them."""
    text = (
        "auth:\n  kind: header\n  headr: 1\n"
        "either:\n  - {kind: header, foo: 1}\n  - 4\n"
        "numbers: {1: 2, x: u}\nlevel: hihg\nothers: 1\n"
    )
    assert findings_of(text) == [
        ("missing_key", 1, 1, "auth.header"),
        ("unknown_key", 3, 3, "auth.headr"),
        ("missing_key", 5, 5, "either[0].header"),
        ("unknown_key", 5, 20, "either[0].foo"),
        ("wrong_type", 6, 5, "either[1]"),
        ("bad_key", 7, 11, "numbers[1]"),
        ("wrong_type", 7, 20, "numbers.x"),
        ("bad_value", 8, 8, "level"),
        ("unknown_key", 9, 1, "others"),
    ]


def test_an_unknown_name_comes_with_the_nearest_known_one():
    assert (
        message_of("atuh: 1") == "'atuh' is not a key here. Did you mean 'auth'? Known: auth, either, level, numbers."
    )
    assert message_of("auth: {kind: baerer}").endswith("Did you mean 'bearer'? Known: bearer, header.")
    assert message_of("level: hihg") == "'hihg' is not known here. Did you mean 'high'? Known: high, low."
    assert message_of("zzz: 1") == "'zzz' is not a key here. Known: auth, either, level, numbers."


def test_a_union_without_its_kind_is_told_as_a_missing_key():
    assert findings_of("auth: {token: 1}") == [("missing_key", 1, 1, "auth.kind")]
    assert findings_of("auth: {kind: 7}") == [("bad_value", 1, 14, "auth.kind")]
    assert findings_of("auth: [1]") == [("wrong_type", 1, 7, "auth")]


def test_a_value_out_of_range_is_told_in_plain_words():
    assert findings_of("auth: {kind: bearer, token: 0}") == [("bad_value", 1, 29, "auth.token")]
    assert message_of("auth: {kind: bearer, token: 0}") == "This should be greater than or equal to 1."


_YAML_LIKE = st.text(
    alphabet=st.sampled_from(list("ab:- \n\t'\"{}[],&*!|>%#?@`~.0123456789xeo<=\\U\0\ud800é😀")), max_size=60
)
_NESTED = st.recursive(
    st.sampled_from(["1", "a", "NO", "'x'", "*a", "&a 1", "!t 1", "2026-01-31", "1.5", "~", ".nan", "?", ""]),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: "[" + ", ".join(items) + "]")
        | st.dictionaries(st.sampled_from(["auth", "kind", "either", "level", "1", "<<"]), inner, max_size=4).map(
            lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}",
        )
    ),
    max_leaves=12,
)


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=200) | _YAML_LIKE | _NESTED)
def test_no_text_whatever_makes_more_than_findings(text):
    caught: tuple[Finding, ...] = ()
    try:
        source = parse_yaml(text, "f.yaml", allow_empty=True)
    except FindingsError as error:
        caught = error.findings
    if caught:
        assert all((finding.line or 0) >= 1 and (finding.column or 0) >= 1 for finding in caught)
        return
    model, findings = validate(Sample, source)
    assert (model is None) == bool(findings)
    assert all(str(finding) for finding in findings)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_whatever_make_more_than_findings(data):
    with contextlib.suppress(FindingsError):
        source = parse_yaml(decode_text(data, "f.yaml"), "f.yaml", allow_empty=True)
        assert isinstance(source.value, dict)
