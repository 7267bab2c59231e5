"""`doctor`: each line says what, how it is, and what to do. Exits with 1 when something is broken."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from backend.cli import DONE, FAILED, PROGRAM, Parser

MARKS = {"ok": "ok    ", "note": "note  ", "broken": "BROKEN"}


def main(argv: Sequence[str]) -> int:
    parser = Parser(
        prog=f"{PROGRAM} doctor",
        usage=f"{PROGRAM} doctor [--report]",
        description="Checks Python, libraries, devices, disk, ports, the running backend and Blender, and runs a job.",
    )
    parser.add_argument(
        "--report", action="store_true", help="a report to copy into an issue: versions, no personal names"
    )
    options = parser.parse_args(argv)

    from backend.setup import doctor

    findings = []
    for finding in doctor.examine():
        findings.append(finding)
        if options.report:
            continue
        print(f"{MARKS[finding.state]}  {finding.name:<10}{finding.text}")
        if finding.fix:
            print(f"{'':<18}{finding.fix}")
        sys.stdout.flush()
    if options.report:
        print(doctor.report(findings))
    broken = [finding for finding in findings if finding.state == "broken"]
    if broken and not options.report:
        print(f"\n{len(broken)} of {len(findings)} checks found a problem.", file=sys.stderr)
    return FAILED if broken else DONE
