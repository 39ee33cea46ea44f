"""The endpoint's API as an OpenAPI document: made from the contract, so that it can't say something else."""

from __future__ import annotations

from typing import Any, Final

from .contract import Column, Contract

_TYPES: Final = {"number": "number", "integer": "integer", "category": "string", "boolean": "boolean", "datetime": "string"}


def column_schema(column: Column) -> dict[str, Any]:
    """The JSON schema of a column's value."""
    kind = _TYPES[column.type]
    found: dict[str, Any] = {"type": [kind, "null"] if column.missing else kind}
    texts = [column.description, f"unit: {column.unit}" if column.unit else ""]
    if column.type == "datetime":
        texts.append(f"format: {', '.join(column.formats)}" if column.formats else "")
    if description := "; ".join(text for text in texts if text):
        found["description"] = description
    if column.minimum is not None:
        found["minimum"] = column.minimum
    if column.maximum is not None:
        found["maximum"] = column.maximum
    if column.levels:
        found["enum"] = [*column.levels, *([None] if column.missing else [])]
    return found


def document(contract: Contract) -> dict[str, Any]:
    """The OpenAPI 3.1 document of a model."""
    columns = contract.inputs
    row = {
        "type": "object",
        "properties": {column.name: column_schema(column) for column in columns},
        "required": [column.name for column in columns],  # One that may be missing is null, not left out.
    }
    request = {"type": "object", "required": ["input_data"], "properties": {"input_data": {"type": "array", "items": row}}}
    value: dict[str, Any] = {"type": "string", "enum": list(contract.classes)} if contract.classes else {"type": "number"}
    if contract.target_unit:
        value["description"] = f"{contract.target} in {contract.target_unit}"
    answer: dict[str, Any] = {"type": "object", "properties": {"predictions": {"type": "array", "items": value}}}
    if contract.classes:
        shares = {"type": "object", "properties": {name: {"type": "number"} for name in contract.classes}}
        answer["properties"]["probabilities"] = {"type": "array", "items": shares}
    refused = {
        "description": "a row breaks the contract; nothing was scored",
        "content": {"application/json": {"schema": {"type": "object", "properties": {"error": {"type": "object"}}}}},
    }
    score = {
        "operationId": "score",
        "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
        "responses": {
            "200": {"description": "a prediction per row", "content": {"application/json": {"schema": answer}}},
            "400": refused,
            "413": {"description": "the body is too large"},
            "429": {"description": "too many requests at once"},
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": contract.name, "version": "1"},
        "paths": {
            "/": {"get": {"operationId": "health", "responses": {"200": {"description": "Healthy"}}}},
            "/score": {"post": score},
        },
    }
