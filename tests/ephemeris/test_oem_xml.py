"""OEM in XML: what an independent writer writes, and what is refused with its line."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from meshd.ephemeris.formats import Document, format_of, read_document
from meshd.ephemeris.oem import parse_oem
from meshd.ephemeris.oem_xml import parse_oem_xml
from meshd.ephemeris.tables import Tables, Tabulated
from protocols.errors import InputError
from protocols.types import MINUTE
from tests.ephemeris.tabled import HEADER, LAGRANGE_9, LOW, T0, between, grid, segment, truth


@pytest.fixture
def both(tmp_path: Path) -> tuple[str, str]:
    """A message of two segments in key = value notation, and as the oem package has it in XML."""
    oem = pytest.importorskip("oem")
    nodes = grid(31)
    halves = (nodes[:16], nodes[15:])
    parts = (segment("LOW", half, truth(LOW, half), "EME2000", more=LAGRANGE_9) for half in halves)
    kvn, xml = tmp_path / "a.oem", tmp_path / "a.xml"
    kvn.write_text(HEADER + "".join(parts))
    oem.OrbitEphemerisMessage.open(kvn).save_as(xml, file_format="xml")
    return kvn.read_text(), xml.read_text()


def test_both_notations_say_the_same(both: tuple[str, str]) -> None:
    kvn, xml = both
    assert format_of(xml).name == "OEM in XML"
    found = read_document(Document("a.xml", xml))
    assert isinstance(found, Tabulated)
    mine, theirs = Tables.of(found.segments), Tables.of(parse_oem(kvn).segments)
    assert mine.names == theirs.names == ("LOW",)
    at = between()
    at = at[at < T0 + 30 * MINUTE]
    for one, other in zip(mine.states(at), theirs.states(at), strict=True):
        assert at.size >= 5 and np.isfinite(one).all()
        assert np.allclose(one, other, rtol=0, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ("<CENTER_NAME>EARTH", "<CENTER_NAME>MARS", "bad-oem"),
        ("<REF_FRAME>EME2000", "<REF_FRAME>MOON_ME", "bad-frame"),
        ("<X>", "<X>x", "bad-number"),
        ("<X_DOT>", "<X_DOTS>", "bad-xml"),
        ("<TIME_SYSTEM>UTC", "<TIME_SYSTEM>MARS", "bad-time-system"),
    ],
)
def test_a_segment_that_cannot_be_used_is_refused_alone(
    both: tuple[str, str], before: str, after: str, code: str
) -> None:
    xml = both[1]
    bare = xml.replace(' units="km"', "").replace(' units="km/s"', "")
    assert before in bare
    bent = bare.replace(before, after, 1)
    if code == "bad-xml":
        with pytest.raises(InputError) as refused:
            parse_oem_xml(bent)
        assert refused.value.code == code
        return
    found = parse_oem_xml(bent)
    assert [s.name for s in found.segments] == ["LOW"]
    assert [(r.name, r.code) for r in found.refused] == [("LOW", code)]
    assert 0 < found.refused[0].line <= xml.count("\n") + 1


def test_metres_are_not_taken_for_kilometres(both: tuple[str, str]) -> None:
    xml = both[1].replace("<X>", '<X units="m">', 1).replace('<X units="km">', '<X units="m">', 1)
    with pytest.raises(InputError, match="X in m, not km"):
        parse_oem_xml(xml)


def test_entities_are_not_expanded() -> None:
    with pytest.raises(InputError, match="entities") as refused:
        parse_oem_xml('<!DOCTYPE x [<!ENTITY a "b">]><oem>&a;</oem>')
    assert refused.value.code == "bad-xml"


def test_a_state_without_a_coordinate_is_refused(both: tuple[str, str]) -> None:
    found = parse_oem_xml(re.sub(r"<Z\b[^>]*>[^<]*</Z>", "", both[1], count=1))
    assert [(r.name, r.code) for r in found.refused] == [("LOW", "bad-number")]


def test_a_message_without_states_is_refused() -> None:
    with pytest.raises(InputError) as refused:
        parse_oem_xml("<oem><body><segment><metadata/></segment></body></oem>")
    assert refused.value.code == "empty-ephemeris"
