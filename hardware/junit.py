"""JUnit XML, as continuous integration reads it, from outcomes of ``fleet hil`` and ``fleet preflight``."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from hardware.hil import Outcome

_TAGS = {"failed": "failure", "error": "error", "skipped": "skipped"}


def junit_xml(suite: str, outcomes: Sequence[Outcome], properties: Sequence[tuple[str, str]] = ()) -> bytes:
    """One ``testsuite``; figures of a case are its ``system-out``, one ``name = value`` a line."""
    count = {status: sum(one.status == status for one in outcomes) for status in ("failed", "error", "skipped")}
    root = ElementTree.Element(
        "testsuite", name=suite, tests=str(len(outcomes)), failures=str(count["failed"]), errors=str(count["error"]),
        skipped=str(count["skipped"]), time=f"{sum(one.seconds for one in outcomes):.3f}",
    )  # fmt: skip
    if properties:
        listed = ElementTree.SubElement(root, "properties")
        for name, value in properties:
            ElementTree.SubElement(listed, "property", name=name, value=value)
    for one in outcomes:
        case = ElementTree.SubElement(
            root, "testcase", classname=f"{suite}.{one.group}", name=one.name, time=f"{one.seconds:.3f}"
        )  # fmt: skip
        if one.status in _TAGS:
            ElementTree.SubElement(case, _TAGS[one.status], message=one.text).text = one.text
        if one.figures:
            lines = [f"{name} = {value:.6g}" for name, value in one.figures.items()]
            ElementTree.SubElement(case, "system-out").text = "\n".join(lines)
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"
