"""NDM: navigation data messages of CCSDS in XML (505.0), read with defusedxml."""

from __future__ import annotations

from xml.sax import SAXException
from xml.sax.handler import ContentHandler

from defusedxml import DefusedXmlException
from defusedxml.sax import parseString

from protocols.errors import InputError


def read_xml(text: str, handler: ContentHandler) -> None:
    """Have a handler see a document. Entities and document types are forbidden.

    Raises InputError "bad-xml".
    """
    try:
        parseString(text.encode(), handler)
    except SAXException as error:
        raise InputError("bad-xml", f"not XML: {error}") from None
    except DefusedXmlException as error:
        raise InputError("bad-xml", f"entities are not allowed in this XML: {error}") from None
