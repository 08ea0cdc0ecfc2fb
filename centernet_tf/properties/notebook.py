"""What an inspection may find, and the notebook it writes its findings into."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
EXAMPLES = 5  # examples kept of each finding
AGAIN = "Write the records again with `centernet records`"  # the usual remedy


@dataclass(frozen=True)
class Check:
    """One thing that can be wrong.

    Attributes:
        severity: "error": training on it fails or learns something false. "warning": objects or quality are lost.
            "note": worth knowing.
        what: What was found, in a few words.
        fix: One line on what to do.
    """

    severity: Severity
    what: str
    fix: str


@dataclass
class Finding:
    """Something found, once or many times.

    Attributes:
        code: Name of the check.
        severity: As the check says.
        what: As the check says.
        count: How often, in the unit of `what`.
        examples: Where, for the first few.
        fix: As the check says.
    """

    code: str
    severity: Severity
    what: str
    count: int
    examples: list[str]
    fix: str


@dataclass
class Notebook:
    """Collects findings while the records pass by.

    Attributes:
        checks: All that may be found, by code.
    """

    checks: Mapping[str, Check]
    _found: dict[str, Finding] = field(default_factory=dict)

    def add(self, code: str, example: str, count: int = 1) -> None:
        """Notes `count` cases of a check; 0 notes nothing."""
        if not count:
            return
        if code not in self._found:
            check = self.checks[code]
            self._found[code] = Finding(code, check.severity, check.what, 0, [], check.fix)
        finding = self._found[code]
        finding.count += int(count)
        if len(finding.examples) < EXAMPLES:
            finding.examples.append(example)

    def findings(self) -> list[Finding]:
        """All findings, the most severe first, within that in the order of the checks."""
        order = list(self.checks)
        return sorted(self._found.values(), key=lambda one: (SEVERITIES.index(one.severity), order.index(one.code)))
