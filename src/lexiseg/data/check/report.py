"""The report of `lexiseg data check`, as values, as JSON and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lexiseg.printable import brief, counted, printable

Severity = Literal["error", "warning", "info"]

#: Number of files listed per finding; the count is always of all files.
MAX_FILES = 20

_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}
_COLOURS: dict[Severity, str] = {"error": "bold red", "warning": "yellow", "info": "cyan"}
_SHOWN_FILES = 3


@dataclass(frozen=True, kw_only=True)
class FileNote:
    """A note on one file or name.

    Attributes:
        file: Path relative to the data set's folder, or another name.
        detail: The note; empty if the finding says everything.
    """

    file: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One kind of problem or observation.

    Attributes:
        code: Short stable name, such as "missing-mask".
        severity: "error" (the data set cannot be used, or its results would be wrong), "warning" or
            "info".
        message: One or two sentences.
        files: The first `MAX_FILES` files concerned.
        count: Number of all files concerned.
    """

    code: str
    severity: Severity
    message: str
    files: tuple[FileNote, ...] = ()
    count: int = 0


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """Result of checking a data set.

    Attributes:
        root: The folder.
        name: The data set's name.
        layout: Its layout.
        samples: Number of images per split.
        classes: Class names, the background first; empty if the masks could not be interpreted.
        vocabulary: Vocabulary the reports are read with; None without reports.
        side: Side convention of the reports, stated or inferred from the masks; None if unknown.
        side_evidence: How it is known, in words.
        reports_read: Share of report sentences that were read in full, 0..1; None without reports.
        agreement: Per factor, share of reports that agree with their mask, 0..1.
        findings: All findings, errors first.
    """

    root: str
    name: str
    layout: str
    samples: dict[str, int]
    classes: tuple[str, ...] = ()
    vocabulary: str | None = None
    side: str | None = None
    side_evidence: str | None = None
    reports_read: float | None = None
    agreement: dict[str, float] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def __repr__(self) -> str:
        return brief(
            self,
            self.name,
            self.layout,
            *(f"{count} {split}" for split, count in self.samples.items()),
            counted(len(self.findings), "finding"),
        )

    @property
    def has_errors(self) -> bool:
        """Whether any finding is an error."""
        return any(finding.severity == "error" for finding in self.findings)

    def of(self, code: str) -> Finding | None:
        """Return the finding with a code; None if there is none."""
        return next((finding for finding in self.findings if finding.code == code), None)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as values for JSON."""
        return {"ok": not self.has_errors, **asdict(self)}


def make_finding(
    code: str, severity: Severity, message: str, notes: Sequence[FileNote] = (), *, count: int | None = None
) -> Finding:
    """Return a finding with at most `MAX_FILES` files."""
    return Finding(
        code=code,
        severity=severity,
        message=message,
        files=tuple(notes[:MAX_FILES]),
        count=len(notes) if count is None else count,
    )


def by_severity(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings sorted by severity, otherwise in the order in which they were found."""
    return tuple(sorted(findings, key=lambda found: _ORDER[found.severity]))


def render(report: CheckReport, console: Console) -> None:
    """Print a report: the data set, one row per finding, and a summary."""
    place = "" if report.name == report.root else f"  {escape(report.root)}"
    console.print(f"[bold]{escape(report.name)}[/]{place}  (layout: {report.layout})")
    sizes = ", ".join(f"{number} {split}" for split, number in report.samples.items())
    console.print(f"Images: {sizes or 'none'}")
    if report.classes:
        console.print(f"Classes: {escape(', '.join(report.classes))}")
    if report.vocabulary is not None:
        _render_words(report, console)
    if report.findings:
        console.print(_table(report.findings))
    errors, warnings = (sum(f.severity == kind for f in report.findings) for kind in ("error", "warning"))
    verdict = f"{_kinds(errors, 'error')}, {_kinds(warnings, 'warning')}."
    console.print(
        f"[bold red]Not usable as it is:[/] {verdict}" if errors else f"[bold green]Usable:[/] {verdict}"
    )


def _kinds(number: int, severity: Severity) -> str:
    return counted(number, f"kind of {severity}", f"kinds of {severity}s")


def _render_words(report: CheckReport, console: Console) -> None:
    read = "" if report.reports_read is None else f"; {report.reports_read:.2%} of the reports read in full"
    console.print(f"Words: vocabulary {escape(report.vocabulary or '')}{read}")
    if report.side_evidence is not None:
        console.print(f"Side: {escape(report.side_evidence)}")
    if report.agreement:
        rates = ", ".join(f"{factor} {rate:.2%}" for factor, rate in report.agreement.items())
        console.print(f"Reports agree with their masks: {escape(rates)}")


def _table(findings: Sequence[Finding]) -> Table:
    table = Table(show_lines=True, expand=False)
    table.add_column("")
    table.add_column("finding", no_wrap=True)
    table.add_column("number", justify="right")
    table.add_column("what", overflow="fold")
    for found in findings:
        text = escape(printable(found.message))
        for note in found.files[:_SHOWN_FILES]:
            said = f"{note.file}: {note.detail}" if note.detail else note.file
            text += f"\n[dim]{escape(printable(said))}[/]"
        if found.count > _SHOWN_FILES and found.files:
            text += f"\n[dim]and {found.count - _SHOWN_FILES} more[/]"
        colour = _COLOURS[found.severity]
        table.add_row(
            f"[{colour}]{found.severity}[/]", found.code, str(found.count) if found.count else "", text
        )
    return table
