"""Whether the command was right about a fault: pure."""

from __future__ import annotations

import json
from enum import Enum

from tests.e2e.command import Answer, Report

from .fault import Expectation


class Judgement(str, Enum):
    RIGHT = "right"
    COULD_NOT_TELL = "could not tell"
    WRONG = "wrong"


def judge(answer: Answer, expect: Expectation) -> Judgement:
    """Right in everything; or honest about not knowing; or wrong."""
    if not differences(answer, expect):
        return Judgement.RIGHT
    unknown = answer.code == 3 and answer.report.verdict == "unknown" and "unknown" not in expect.verdicts
    return Judgement.COULD_NOT_TELL if unknown else Judgement.WRONG


def found(report: Report, expect: Expectation) -> tuple[str, ...]:
    """All codes but of mere information; and of that what is expected, since with age it may be more than that."""
    findings = report.json["findings"]
    return tuple(f["code"] for f in findings if f["severity"] != "info" or f["code"] in expect.codes)


def said_in(report: Report) -> str:
    return json.dumps(report.json["findings"], ensure_ascii=False)


def differences(answer: Answer, expect: Expectation) -> list[str]:
    """In what the answer is not the expected one, one line each."""
    try:
        report = answer.report
    except ValueError:
        return [f"no report: exit code {answer.code}: {answer.stderr.strip() or answer.stdout[:200]}"]
    told = []
    if (codes := found(report, expect)) != expect.codes:
        told.append(f"found {', '.join(codes) or 'nothing'} instead of {', '.join(expect.codes) or 'nothing'}")
    if report.verdict not in expect.verdicts:
        told.append(f"verdict {report.verdict} instead of {' or '.join(expect.verdicts)}")
    if answer.code != expect.exit:
        told.append(f"exit code {answer.code} instead of {expect.exit}")
    if missing := set(expect.information) - set(report.information):
        told.append(f"{', '.join(sorted(missing))} is not mentioned")
    told += [f"{text!r} is not said" for text in expect.says if text not in said_in(report)]
    for kind, outcomes in expect.outcomes.items():
        if (seen := sorted({path["outcome"] for path in report.paths(kind)})) != sorted(outcomes):
            told.append(f"{kind}: {', '.join(seen) or 'not tried'} instead of {', '.join(sorted(outcomes))}")
    for code, confidence in expect.confidence.items():
        if (seen := [f["confidence"] for f in report.json["findings"] if f["code"] == code]) != [confidence]:
            told.append(f"{code}: {', '.join(seen) or 'not found'} instead of {confidence}")
    return told + list(_untidy(answer))


def _untidy(answer: Answer) -> list[str]:
    """What no run may do, whatever it looks at."""
    told = []
    report = answer.report
    if report.verdict == "ok" and report.json["service"]["name"] not in report.summary:
        told.append("the summary does not name the Service")
    if answer.stderr:
        told.append(f"standard error: {answer.stderr.strip()}")
    probe = report.json["probe"]
    if probe and probe["problem"] and not any(code.startswith("SVC9") for code in report.codes):
        told.append(f"the probe pod: {probe['problem']}")
    if probe and probe["leftover"]:
        told.append(f"left behind: {probe['leftover']}")
    return told
