"""Mirrors an OpenDRIVE text across the x axis: what kept to the right then keeps to the left."""

from xml.etree import ElementTree

_OTHER_SIDE = {"+": "-", "-": "+", "none": "none"}
_NEGATED = {
    "geometry": ("y", "hdg"),
    "arc": ("curvature",),
    "spiral": ("curvStart", "curvEnd"),
    "laneOffset": ("a", "b", "c", "d"),
    "object": ("t", "hdg"),
    "cornerLocal": ("v",),
    "signal": ("t", "hOffset"),
    "signalReference": ("t",),
}


def mirrored(document: bytes) -> bytes:
    """The same map in a mirror, with `rule="LHT"` on every road."""
    root = ElementTree.fromstring(document)
    for element in root.iter():
        for name in _NEGATED.get(element.tag, ()):
            if element.get(name):
                element.set(name, repr(-float(element.get(name, "0"))))
        if "orientation" in element.attrib:
            element.set("orientation", _OTHER_SIDE[element.get("orientation", "none")])
    for road in root.iter("road"):
        road.set("rule", "LHT")
    for section in root.iter("laneSection"):
        _swap_sides(section)
    for link in root.iter("laneLink"):
        _negate_id(link, "from")
        _negate_id(link, "to")
    for validity in root.iter("validity"):
        low, high = -int(validity.get("toLane", "0")), -int(validity.get("fromLane", "0"))
        validity.set("fromLane", str(low))
        validity.set("toLane", str(high))
    return ElementTree.tostring(root)


def _swap_sides(section: ElementTree.Element) -> None:
    left, centre, right = (section.find(side) for side in ("left", "center", "right"))
    for side, name in ((left, "right"), (right, "left")):
        if side is not None:
            side.tag = name
            side[:] = reversed(list(side))  # OpenDRIVE lists lanes from the left
            for lane in side.iter("lane"):
                _negate_id(lane, "id")
                for link in (*lane.iterfind("link/predecessor"), *lane.iterfind("link/successor")):
                    _negate_id(link, "id")
    section[:] = [side for side in (right, centre, left) if side is not None]


def _negate_id(element: ElementTree.Element, name: str) -> None:
    element.set(name, str(-int(element.get(name, "0"))))
