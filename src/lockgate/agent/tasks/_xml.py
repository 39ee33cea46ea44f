"""XML from files that a step wrote, read without entities, which could take all memory."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

from lockgate.agent.task import TaskError


def read_xml(path: Path) -> ET.Element:
    """The root of an XML file.

    Raises:
        TaskError: it can't be read, or declares entities.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TaskError(f"{path.name} can't be read: {error.strerror}") from None
    if b"<!ENTITY" in data or b"<\x00!\x00E" in data:
        raise TaskError(f"{path.name}: found entity declarations; allowed: XML without")
    try:
        return ET.fromstring(data)  # noqa: S314 - no entity is left in it
    except ET.ParseError as error:
        line, column = error.position
        raise TaskError(f"{path.name}:{line}:{column + 1}: not valid XML: {error}") from None
