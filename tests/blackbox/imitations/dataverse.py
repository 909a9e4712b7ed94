"""A Dataverse of a few tables: rows with versions, deep insert, keys, change sets; every effect is counted."""

import re
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from aiohttp import web

from tests.blackbox.imitations.calls import ROOT, Call, RefusedError
from tests.blackbox.imitations.entra import Entra
from tests.blackbox.imitations.filters import matches
from tests.blackbox.imitations.literals import checked
from tests.blackbox.imitations.metadata import Metadata, UnknownNameError, csdl
from tests.blackbox.imitations.multipart import boundary_of, parts_of, request_of, wrapped
from tests.blackbox.imitations.tables import TABLES, Table
from tests.blackbox.imitations.wire import Seen, Server, answer


@dataclass(frozen=True)
class Effect:
    """One change of one row: ``create``, ``update`` or ``delete``."""

    kind: str
    table: str
    id: str
    changed: tuple[str, ...] = ()


class Dataverse(Server):
    def __init__(self, entra: Entra, tables: tuple[Table, ...] = tuple(TABLES), style: str = "full") -> None:
        super().__init__()
        self.entra = entra
        self.tables = {table.name: table for table in tables}
        self.style = style
        self.rows: dict[str, dict[str, dict[str, Any]]] = {table.name: {} for table in tables}
        self.effects: list[Effect] = []
        self.taken = (412, "0x80060892")
        self.forbidden = False
        self.dop: int | None = None
        self.nested_limit: int | None = None
        self.always_represents = False
        self.before_write: RefusedError | None = None
        self._version = 1000

    # --- what a test does

    def seed(self, table: str, **values: Any) -> str:
        """Put a row there that somebody else made."""
        id = str(uuid.uuid4())
        self.rows[table][id] = {self.tables[table].primary_id: id, "@version": self._next(), **values}
        return id

    def change(self, table: Table) -> None:
        self.tables[table.name] = table

    def count(self, kind: str, table: str) -> Counter[str]:
        return Counter(effect.id for effect in self.effects if effect.kind == kind and effect.table == table)

    # --- what it answers

    def identify(self, request: web.BaseRequest) -> str:
        app = self.entra.admit(request.headers.get("Authorization", "").removeprefix("Bearer "), self.base)
        return app.client_id if app else ""

    def refusal(self, status: int, kind: str) -> web.Response:
        code = "0x80072322" if status == 429 else ""
        return answer(status, {"error": {"code": code, "message": f"imitated {kind}"}})

    async def handle(self, seen: Seen) -> web.StreamResponse:
        if not seen.identity:
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer authorization_uri=https://login"})
        call = Call(seen.method, seen.path, dict(seen.query), seen.headers, seen.body)
        try:
            batch = call.path == f"{ROOT}$batch" and call.method == "POST"
            response = self._batch(call) if batch else self._one(call)
        except RefusedError as refused:
            response = self._error(refused)
        response.headers["OData-Version"] = "4.0"
        response.headers["x-ms-service-request-id"] = str(uuid.uuid4())
        if self.dop is not None:
            response.headers["x-ms-dop-hint"] = str(self.dop)
        return response

    @staticmethod
    def _error(refused: RefusedError) -> web.Response:
        return answer(refused.status, {"error": {"code": refused.code, "message": refused.message}})

    def _one(self, call: Call) -> web.Response:
        if not call.path.startswith(ROOT):
            raise RefusedError(404, "", "Not found")
        path = call.path.removeprefix(ROOT)
        if path == "WhoAmI":
            return answer(200, {"UserId": str(uuid.UUID(int=1)), "BusinessUnitId": str(uuid.UUID(int=2))})
        if path == "$metadata":
            if "json" in call.headers.get("accept", ""):
                raise RefusedError(415, "", "Unsupported media type requested")
            return web.Response(text=csdl(self.tables), content_type="application/xml")
        if path.startswith("EntityDefinitions"):
            return self._metadata(path, call.query)
        if self.forbidden:
            raise RefusedError(403, "0x80040220", "Principal user is missing prvReadnumora_invoice privilege")
        match = re.fullmatch(r"(\w+)(?:\((.*)\))?(?:/(\w+))?", path)
        table = next((one for one in self.tables.values() if match and one.set_name == match[1]), None)
        if match is None or table is None:
            raise RefusedError(404, "0x80060888", f"Resource not found for the segment '{path}'.")
        if match[2] is None:
            return self._collection(table, call)
        return self._row(table, match[2], call)

    def _metadata(self, path: str, query: Mapping[str, str]) -> web.Response:
        if self.style == "csdl":
            raise RefusedError(404, "", "Not found")
        metadata = Metadata(self.tables, self.style)
        try:
            if path == "EntityDefinitions":
                return answer(200, metadata.listing(query))
            match = re.fullmatch(r"EntityDefinitions\(LogicalName='(\w+)'\)(?:/(\w+)(?:/([\w.]+))?)?", path)
            if match is None:
                raise UnknownNameError(path)
            if match[1] not in self.tables:
                raise RefusedError(404, "0x80060888", f"Could not find an entity with specified name: {match[1]}")
            table = self.tables[match[1]]
            if match[2] is None:
                return answer(200, metadata.table(table, query))
            return answer(200, {"value": metadata.part(table, match[2], query, match[3] or "")})
        except UnknownNameError as name:
            raise RefusedError(400, "0x80060888", f"Could not find a property named '{name}'") from name

    # --- rows

    def _collection(self, table: Table, call: Call) -> web.Response:
        if call.method == "GET":
            found = [row for row in self.rows[table.name].values() if matches(table, row, call.query.get("$filter"))]
            found = found[: int(call.query.get("$top", "5000"))]
            return answer(200, {"value": [self._shown(table, row, call.query) for row in found]})
        if call.method != "POST":
            raise RefusedError(405, "", "Method not allowed")
        id = self._create(table, call.json)
        return self._written(table, id, call, 201)

    def _row(self, table: Table, key: str, call: Call) -> web.Response:
        id = self._find(table, key)
        row = self.rows[table.name].get(id) if id else None
        match call.method:
            case "GET":
                if row is None:
                    raise self._missing(table, key)
                return answer(200, self._shown(table, row, call.query))
            case "PATCH":
                if call.headers.get("if-none-match") == "*" and row is not None:
                    raise RefusedError(412, "0x80060892", "A record with matching key values already exists.")
                if row is None:
                    if call.headers.get("if-match") or id is None:
                        raise self._missing(table, key)
                    self._create(table, {**call.json, table.primary_id: id})
                    return self._written(table, id, call, 201)
                self._if_match(call, row)
                self._update(table, row, call.json)
                return self._written(table, row[table.primary_id], call, 200)
            case "DELETE":
                if row is None:
                    raise self._missing(table, key)
                self._if_match(call, row)
                del self.rows[table.name][row[table.primary_id]]
                self.effects.append(Effect("delete", table.name, row[table.primary_id]))
                return answer(204)
        raise RefusedError(405, "", "Method not allowed")

    @staticmethod
    def _missing(table: Table, key: str) -> RefusedError:
        code = "0x80060891" if "=" in key else "0x80040217"
        return RefusedError(404, code, f"{table.name} With Id = {key} Does Not Exist")

    @staticmethod
    def _if_match(call: Call, row: dict[str, Any]) -> None:
        given = call.headers.get("if-match")
        if given and given != "*" and given != f'W/"{row["@version"]}"':
            message = "The version of the existing record doesn't match the RowVersion property provided."
            raise RefusedError(412, "0x80060882", message)

    def _written(self, table: Table, id: str, call: Call, status: int) -> web.Response:
        if self.always_represents or "return=representation" in call.headers.get("prefer", ""):
            return answer(status, self._shown(table, self.rows[table.name][id], call.query))
        return answer(204, headers={"OData-EntityId": f"{self.base}{ROOT}{table.set_name}({id})"})

    def _find(self, table: Table, key: str) -> str | None:
        """Return the id for what stands in an address's brackets; None when no row has that key."""
        try:
            return str(uuid.UUID(key))
        except ValueError:
            pass
        pairs = {name: value.replace("''", "'") for name, value in re.findall(r"(\w+)='((?:[^']|'')*)'", key)}
        if not any(set(one.columns) == set(pairs) for one in table.keys):
            raise RefusedError(400, "0x80060888", f"The key in the request URI is not valid for resource {table.name}.")
        if not any(set(one.columns) == set(pairs) and one.status == "Active" for one in table.keys):
            raise RefusedError(404, "0x80060891", "The key is not active")
        for id, row in self.rows[table.name].items():
            if all(row.get(name) == value for name, value in pairs.items()):
                return id
        return None

    def _create(self, table: Table, body: dict[str, Any]) -> str:
        if self.before_write is not None:
            raise self.before_write
        before, effects = self._saved()
        try:
            return self._insert(table, body, {})
        except RefusedError:
            self._restore(before, effects)
            raise

    def _saved(self) -> tuple[dict[str, dict[str, dict[str, Any]]], int]:
        return {name: dict(rows) for name, rows in self.rows.items()}, len(self.effects)

    def _restore(self, rows: dict[str, dict[str, dict[str, Any]]], effects: int) -> None:
        self.rows = rows
        del self.effects[effects:]

    def _insert(self, table: Table, body: dict[str, Any], parent: dict[str, Any]) -> str:
        id = str(uuid.UUID(body[table.primary_id])) if table.primary_id in body else str(uuid.uuid4())
        children = {name: value for name, value in body.items() if isinstance(value, list)}
        row = {table.primary_id: id, **parent, **self._values(table, body, create=True)}
        taken = id in self.rows[table.name] or any(
            all(row.get(name) is not None and row.get(name) == other.get(name) for name in key.columns)
            for key in table.keys
            for other in self.rows[table.name].values()
        )
        if taken:
            raise RefusedError(*self.taken, "A record with matching key values already exists.")
        row["@version"] = self._next()
        self.rows[table.name][id] = row
        self.effects.append(Effect("create", table.name, id, tuple(body)))
        for name, nested in children.items():
            if self.nested_limit is not None and len(nested) > self.nested_limit:
                raise RefusedError(400, "0x80040265", f"No more than {self.nested_limit} nested rows.")
            child, column = next(
                (
                    (other, lookup.column)
                    for other in self.tables.values()
                    for lookup in other.lookups
                    if lookup.collection == name and lookup.target == table.name
                ),
                (None, ""),
            )
            if child is None:
                raise RefusedError(400, "0x80048d19", f"Invalid property '{name}' was found in entity.")
            for one in nested:
                self._insert(child, one, {f"_{column}_value": id})
        return id

    def _update(self, table: Table, row: dict[str, Any], body: dict[str, Any]) -> None:
        if self.before_write is not None:
            raise self.before_write
        values = self._values(table, body, create=False)
        changed = {**row, **values, "@version": self._next()}
        self.rows[table.name][row[table.primary_id]] = changed
        self.effects.append(Effect("update", table.name, row[table.primary_id], tuple(values)))

    def _next(self) -> int:
        self._version += 1
        return self._version

    def _values(self, table: Table, body: dict[str, Any], *, create: bool) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, value in body.items():
            if isinstance(value, list) and create:
                continue
            if name.endswith("@odata.bind"):
                values |= self._bound(table, name.removesuffix("@odata.bind"), value)
            elif "@" in name:
                if "." not in name:
                    raise RefusedError(400, "0x80048d19", f"The annotation '{name}' is not valid.")
            else:
                column = table.column(name)
                if column is None or column.kind in {"Lookup", "Owner"}:
                    raise RefusedError(
                        400, "0x80048d19", f"Invalid property '{name}' was found in entity '{table.name}'."
                    )
                if not (column.create if create else column.update) and name != table.primary_id:
                    raise RefusedError(400, "0x80040265", f"'{name}' is not valid here")
                values[name] = checked(column, value)
        return values

    def _bound(self, table: Table, name: str, value: Any) -> dict[str, Any]:
        targets = {self.tables[one.target].set_name: one for one in table.lookups if one.navigation == name}
        if not targets:
            message = f"An undeclared property '{name}' which only has property annotations in the payload but no value"
            raise RefusedError(400, "0x80048d19", message)
        if value is None:
            return {f"_{next(iter(targets.values())).column}_value": None}
        path = urlsplit(str(value)).path.removeprefix(ROOT).strip("/")
        match = re.fullmatch(r"(\w+)\((.*)\)", unquote(path))
        if match is None or match[1] not in targets:
            raise RefusedError(400, "0x80048d19", f"Resource not found for the segment '{value}'.")
        lookup = targets[match[1]]
        target = self.tables[lookup.target]
        id = self._find(target, match[2])
        if id is None or id not in self.rows[target.name]:
            raise self._missing(target, match[2])
        return {f"_{lookup.column}_value": id}

    # --- reading

    def _shown(self, table: Table, row: dict[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
        whole: dict[str, Any] = {
            (f"_{column.name}_value" if column.kind in {"Lookup", "Owner"} else column.name): None
            for column in table.columns
        }
        whole |= {name: value for name, value in row.items() if not name.startswith("@")}
        shown = {"@odata.etag": f'W/"{row["@version"]}"'}
        if select := query.get("$select"):
            for name in (part.strip() for part in select.split(",")):
                if name not in whole:
                    raise RefusedError(
                        400, "0x80060888", f"Could not find a property named '{name}' on type '{table.name}'."
                    )
            wanted = {part.strip() for part in select.split(",")} | {table.primary_id}
            whole = {name: value for name, value in whole.items() if name in wanted}
        shown |= whole
        for part in re.findall(r"(\w+)(?:\(([^()]*(?:\([^()]*\)[^()]*)*)\))?,?", query.get("$expand", "")):
            options = dict(pair.split("=", 1) for pair in part[1].split(";") if "=" in pair)
            shown[part[0]] = self._expanded(table, row, part[0], options)
        return shown

    def _expanded(self, table: Table, row: dict[str, Any], name: str, options: dict[str, str]) -> Any:
        for other in self.tables.values():
            for lookup in other.lookups:
                if lookup.collection == name and lookup.target == table.name:
                    found = [
                        one
                        for one in self.rows[other.name].values()
                        if one.get(f"_{lookup.column}_value") == row[table.primary_id]
                        and matches(other, one, options.get("$filter"))
                    ]
                    return [self._shown(other, one, options) for one in found]
        for lookup in table.lookups:
            if lookup.navigation == name:
                id = row.get(f"_{lookup.column}_value")
                target = self.tables[lookup.target]
                return self._shown(target, self.rows[target.name][id], options) if id else None
        raise RefusedError(400, "0x80060888", f"Could not find a property named '{name}' on type '{table.name}'.")

    # --- batch

    def _batch(self, call: Call) -> web.Response:
        boundary = boundary_of(call.headers.get("content-type", ""))
        answers, status = [], 200
        for headers, content in parts_of(call.body, boundary):
            if (inner := headers.get("content-type", "")).startswith("multipart/mixed"):
                before, effects = self._saved()
                try:
                    parts = self._change_set(parts_of(content, boundary_of(inner)))
                except RefusedError as refused:
                    self._restore(before, effects)
                    answers.append(wrapped(self._error(refused)))
                    status = refused.status
                    break
                name = f"changesetresponse_{uuid.uuid4()}"
                whole = b"".join(b"--" + name.encode() + b"\r\n" + part for part in parts) + f"--{name}--\r\n".encode()
                answers.append(f'Content-Type: multipart/mixed; boundary="{name}"\r\n\r\n'.encode() + whole)
            else:
                try:
                    response = self._one(request_of(content))
                except RefusedError as refused:
                    response, status = self._error(refused), refused.status
                answers.append(wrapped(response))
                if status != 200:
                    break
        if "continue-on-error" in call.headers.get("prefer", ""):
            status = 200
        name = f"batchresponse_{uuid.uuid4()}"
        body = b"".join(b"--" + name.encode() + b"\r\n" + part for part in answers) + f"--{name}--\r\n".encode()
        return web.Response(status=status, body=body, headers={"Content-Type": f"multipart/mixed; boundary={name}"})

    def _change_set(self, parts: list[tuple[dict[str, str], bytes]]) -> list[bytes]:
        made: dict[str, str] = {}
        answers = []
        for headers, content in parts:
            content_id = headers.get("content-id", "")
            if not content_id:
                raise RefusedError(400, "", "Content-ID is missing")
            call = request_of(content)
            if call.method == "GET":
                raise RefusedError(400, "", "GET is not allowed in a change set")
            for reference in re.findall(rb'"\$(\d+)"', call.body) + re.findall(rb"^/?\$(\d+)", call.path.encode()):
                if reference.decode() not in made:
                    message = f"Content-ID Reference: '${reference.decode()}' does not exist in the batch context."
                    raise RefusedError(400, "", message)
            call.body = re.sub(rb'"\$(\d+)"', lambda m: b'"' + made[m[1].decode()].encode() + b'"', call.body)
            call.path = re.sub(r"^/?\$(\d+)", lambda m: made[m[1]], call.path)
            response = self._one(call)
            if entity := response.headers.get("OData-EntityId"):
                made[content_id] = urlsplit(entity).path
            answers.append(wrapped(response, content_id))
        return answers
