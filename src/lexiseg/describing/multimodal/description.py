"""Describing regions with a multimodal model: replies are checked against the mask, and a run can resume."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from lexiseg.describing.description_file import (
    DescriptionLine,
    MeasuredProvenance,
    ModelProvenance,
    refuse_existing,
    write_descriptions,
)
from lexiseg.describing.description_rows import LineCallback, Region, Row
from lexiseg.describing.multimodal.ask_model import Outcome, ReplyCollector, for_each, run_to_end
from lexiseg.describing.multimodal.journal import Journal, JournalHead, journal_path
from lexiseg.describing.multimodal.local_model import LocalModel
from lexiseg.describing.multimodal.mask_check import check_reply
from lexiseg.describing.multimodal.model import LmmOptions, UsageCount, VisionModel
from lexiseg.describing.multimodal.prompt import PROMPT_VERSION, Question, make_question
from lexiseg.describing.multimodal.server_model import ServerModel
from lexiseg.describing.regions_of_interest import png, shrunk
from lexiseg.outputs.output_folder import OutputFolder

#: Longest side of the picture for the model; measurements use the original size.
LONGEST_SIDE = 1024


def describe_with_model(
    rows: Sequence[Row],
    out: Path,
    options: LmmOptions,
    *,
    rois: OutputFolder | None,
    tally: UsageCount,
    done: LineCallback,
    say: Callable[[str], None],
) -> list[DescriptionLine]:
    """Ask a model about every region of the rows.

    Args:
        rows: What to describe.
        out: The description file to write; the journal is beside it.
        options: The model.
        rois: Folder for the regions of interest; None writes none.
        tally: Counts replies and tokens.
        done: Called with each line.
        say: Called with notes for the user.

    Returns:
        The lines, in the order of the rows.

    Raises:
        LexisegError: See `lexiseg.describe`.
    """
    head = JournalHead(
        model=options.model,
        server=options.base_url,
        prompt_version=PROMPT_VERSION,
        vocabulary=rows[0].vocabulary.name,
    )
    with Journal(journal_path(out), head) as journal:
        refuse_existing(out)  # another process may have written it since this one was started
        if not journal.locked:
            say(
                f"{journal.path} cannot be locked on this system. Do not start a second process that writes "
                f"the same file."
            )
        tally.resumed = journal.resumed
        lines = run_to_end(_ask_about(rows, options, journal, rois=rois, tally=tally, done=done))
        write_descriptions(out, lines)
        journal.remove()
    return lines


async def _ask_about(
    rows: Sequence[Row],
    options: LmmOptions,
    journal: Journal,
    *,
    rois: OutputFolder | None,
    tally: UsageCount,
    done: LineCallback,
) -> list[DescriptionLine]:
    model: VisionModel = LocalModel(options) if options.base_url is None else ServerModel(options)
    interviewer = ReplyCollector(model, journal, tries=options.tries, tally=tally)
    questions = {
        row.class_name: make_question(row.vocabulary, row.vocabulary.keyword.singular) for row in rows
    }

    async def line_of(row: Row) -> DescriptionLine:
        region = await asyncio.to_thread(row.read, rois)
        if not region.lesion.any():
            return done(row.measured(region, MeasuredProvenance()))
        question = questions[row.class_name]
        picture = png(shrunk(region.roi, LONGEST_SIDE))
        outcome = await interviewer.ask(_key(row, question, picture), question, picture)
        return done(_line(row, region, outcome, options))

    try:
        return await for_each(rows, line_of, concurrency=options.concurrency)
    finally:
        await model.close()


def _line(row: Row, region: Region, outcome: Outcome, options: LmmOptions) -> DescriptionLine:
    """Return the model's description of a region, corrected by the mask; measured words without a reply."""
    provenance = ModelProvenance(
        model=options.model,
        server=options.base_url,
        prompt_version=PROMPT_VERSION,
        replies=outcome.replies,
        fell_back=outcome.problem if outcome.reply is None else None,
    )
    if outcome.reply is None:
        return row.measured(region, provenance)
    indices, check = check_reply(outcome.reply, region.lesion, region.image, row.vocabulary)
    words = row.vocabulary.describe(indices, source="lmm", side="image")
    return row.line(words, provenance=provenance, check=check)


def _key(row: Row, question: Question, picture: bytes) -> str:
    """Return the journal's key of a question: hash of image, class, wording and picture."""
    texts = (row.sample.id, row.class_name or "", question.text)
    parts = (*(text.encode("utf-8", "surrogatepass") for text in texts), picture)
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
