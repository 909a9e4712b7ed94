"""The API's own description, and every answer held against what it says of that path, method and status."""

import re
from typing import Any

import msgspec
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.blackbox.imitations.wire import decode

EVERYWHERE = {400, 404, 405, 408, 413}
"""Statuses of what is no request to any path that is described."""


class Contract:
    """What ``/openapi.json`` promises."""

    def __init__(self, description: bytes) -> None:
        self.description: dict[str, Any] = msgspec.json.decode(description)
        self._paths = [
            (re.compile("/".join("[^/]+" if "{" in part else re.escape(part) for part in path.split("/"))), path)
            for path in sorted(self.description["paths"], key=lambda path: path.count("{"))
        ]
        self._validators: dict[tuple[str, str, str], Draft202012Validator] = {}
        self.held = 0

    def check(self) -> None:
        """Hold the description itself against OpenAPI 3.1."""
        OpenAPIV31SpecValidator(self.description).validate()

    def operation(self, method: str, path: str) -> tuple[str, dict[str, Any]] | None:
        """Return the template of a path as it was sent, with its operation; None for what is not described."""
        raw = path.partition("?")[0]
        template = next((name for pattern, name in self._paths if pattern.fullmatch(raw)), None)
        if template is None:
            return None
        operation = self.description["paths"][template].get(method.lower())
        return None if operation is None else (template, operation)

    def hold(self, method: str, path: str, status: int, content_type: str, headers: Any, body: bytes) -> None:
        """Hold an answer: status, type and shape are described; a problem says which, and what to do."""
        story = f"{method} {path[:200]} {status} {content_type} {body[:600]!r}"
        if status >= 400:
            _is_problem(status, content_type, headers, body, story)
        assert headers["X-Request-Id"], story
        assert headers["X-Content-Type-Options"] == "nosniff", story
        described = self.operation(method, path)
        if described is None:
            return
        template, operation = described
        told = operation["responses"].get(str(status))
        if told is None:
            assert status in EVERYWHERE - {404}, f"not described: {story}"
            return
        self.held += 1
        content = told.get("content")
        if content is None:
            assert not body, story
            return
        if content_type not in content:
            assert any(name.partition(";")[0] == content_type for name in content), f"another type: {story}"
            return
        if not content_type.endswith("json"):
            return
        validator = self._validator(template, method, str(status), content[content_type]["schema"])
        found = validator.iter_errors(decode(body))
        errors = [f"{error.json_path}: {error.message[:300]}" for error in found]
        assert not errors, f"{errors} in {story}"

    def _validator(self, template: str, method: str, status: str, schema: Any) -> Draft202012Validator:
        place = (template, method, status)
        if place not in self._validators:
            whole = {"components": self.description["components"], "allOf": [schema]}
            self._validators[place] = Draft202012Validator(whole)
        return self._validators[place]

    def filled(self, template: str, **known: str) -> str:
        """Return a path with something at every place."""
        return re.sub(r"\{(\w+)\}", lambda match: known.get(match[1], "any"), template)


def _is_problem(status: int, content_type: str, headers: Any, body: bytes, story: str) -> None:
    assert content_type == "application/problem+json", story
    problem = msgspec.json.decode(body)
    assert problem["status"] == status, story
    assert re.fullmatch(r"[a-z][a-z0-9_]*", problem["code"]), story
    assert problem["type"].endswith(problem["code"]), story
    assert problem["request_id"] == headers["X-Request-Id"], story
    assert len(problem["detail"].split()) >= 4, story
    assert "Traceback" not in problem["detail"], story
