"""Print how often reports and words measured on their masks agree, and whose left the reports mean.

Example: `python benchmarks/concept_agreement.py ../shared/data/COVID-Xray`. Rates are exact equality of the
phrase, per factor and split. The thresholds were fitted on the training split (`fit_chest_zones.py`).
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path

from chest_cases import Case, cases_of, open_reports

from lexiseg.data import SPLITS
from lexiseg.words.flips import to_side
from lexiseg.words.measure import measure_indices
from lexiseg.words.sides import factor_agreement, infer_side
from lexiseg.words.vocabulary import Vocabulary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="data set folder with masks and reports")
    parser.add_argument("--vocabulary", help="vocabulary name or file (default: the data set's, else chest)")
    arguments = parser.parse_args()
    index, vocabulary = open_reports(arguments.data, arguments.vocabulary)
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    print(f"{index.root}, vocabulary {vocabulary.name}; {datetime.now(UTC):%Y-%m-%d}, {machine}")
    heads = "".join(f"{name:>12}" for name in vocabulary.names)
    print(f"{'split':8}{'cases':>7}{heads}{'ms/mask':>10}  side")
    for split in SPLITS:
        if cases := cases_of(index, split, vocabulary):
            print(f"{split:8}{len(cases):>7}{agreement_of(cases, vocabulary)}")


def agreement_of(cases: list[Case], vocabulary: Vocabulary) -> str:
    """Return the columns of one split: rate per factor, measuring time, and the side convention found."""
    start = time.perf_counter()
    pairs = [(case.reported, measure_indices(case.mask, vocabulary, side="image")) for case in cases]
    milliseconds = 1000 * (time.perf_counter() - start) / len(cases)
    evidence = infer_side(pairs, vocabulary)
    given = evidence.side or vocabulary.side
    on_screen = [(to_side(vocabulary, said, given=given, wanted="image"), seen) for said, seen in pairs]
    rates = [entry.rate for entry in factor_agreement(on_screen, vocabulary).values()]
    columns = "".join(f"{'-' if rate is None else f'{rate:.2%}':>12}" for rate in rates)
    side = f"{evidence.side or 'unclear'} ({evidence.share:.2%} of {evidence.cases} one-sided cases)"
    return f"{columns}{milliseconds:>10.2f}  {side}"


if __name__ == "__main__":
    main()
