"""Reads XML from strangers: size-limited, without document type declarations and entities."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

MAX_DOCUMENT_BYTES = 256 * 2**20  # unpacked; a dense route of 1 km has about 0.1 MB


def read_xml(path: Path) -> Element:
    """Root element of a .xml or .xml.gz file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: not XML, too large, or declares a document type (a way to declare entities
            that unfold to gigabytes).
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            document = file.read(MAX_DOCUMENT_BYTES + 1)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist: check the path of the file") from None
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"cannot read {path} ({error}): fetch or write it again") from error
    if len(document) > MAX_DOCUMENT_BYTES:
        raise ValueError(
            f"{path} unpacks to more than {MAX_DOCUMENT_BYTES // 2**20} MB: split the file"
        )
    try:
        return parse_xml(document)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def parse_xml(document: bytes) -> Element:
    """Root element of a document in any encoding that XML knows.

    Raises:
        ValueError: not XML, or declares a document type.
    """
    try:
        return _parse(document)
    except expat.ExpatError as error:
        raise ValueError(f"the file is not well-formed XML ({error}): repair it") from error
    except _DeclarationError:
        raise ValueError(
            "the file has a document type declaration, which is refused because entities can "
            "unfold without limit: delete the <!DOCTYPE ...> part"
        ) from None


class _DeclarationError(Exception):
    """The document declares a type or an entity."""


def _refuse(*_: object) -> None:
    raise _DeclarationError


def _parse(document: bytes) -> Element:
    builder = TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.Parse(document, True)
    return builder.close()
