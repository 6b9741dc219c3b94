"""Print how often words measured on masks agree with what others say: a report sheet, or LLaVA's rows.

`python benchmarks/concept_agreement.py ../shared/data/COVID-Xray` compares with the data set's reports, and
says whose left they mean. The thresholds were fitted on the training split (`fit_chest_zones.py`).

`python benchmarks/concept_agreement.py ../shared/data/kvasir_text/Kvasir-SEG --llava
../shared/data/kvasir_text/llava_attributes.csv` compares with the attributes LLaVA-1.5-13B named for
CoTexNet, image by image. A value is read as what follows "read as" in the table; "-" is no phrase.

Rates are exact equality of the phrase, per factor.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import pandas as pd
from chest_cases import Case, cases_of, open_reports
from machine import describe_machine

from lexiseg.data import SPLITS
from lexiseg.data.mask_inference import infer_mask_coding
from lexiseg.data.readers import read_image, read_mask
from lexiseg.describing.multimodal.mask_check import box_cell
from lexiseg.words.description import UNKNOWN
from lexiseg.words.factor import Factor
from lexiseg.words.flips import to_side
from lexiseg.words.measure import measure_indices
from lexiseg.words.reading.reports import parse_report
from lexiseg.words.side_convention import factor_agreement, infer_side
from lexiseg.words.vocabulary import Vocabulary, load_vocabulary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="data set folder with masks and reports")
    parser.add_argument("--vocabulary", help="vocabulary name or file (default: the data set's, else chest)")
    parser.add_argument(
        "--llava", type=Path, help="CSV of CoTexNet's LLaVA rows (roi_name, text) to compare with"
    )
    arguments = parser.parse_args()
    print(describe_machine())
    if arguments.llava is not None:
        print_llava(arguments.data, arguments.llava, load_vocabulary(arguments.vocabulary or "polyp"))
        return
    index, vocabulary = open_reports(arguments.data, arguments.vocabulary)
    print(f"{index.root}, vocabulary {vocabulary.name}")
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


def print_llava(data: Path, sheet: Path, vocabulary: Vocabulary) -> None:
    """Print what LLaVA and the measurement say of each image at hand, and how often they agree."""
    rows = {row["roi_name"]: json.loads(row["text"]) for row in pd.read_csv(sheet).to_dict("records")}
    masks = sorted((data / "masks").iterdir())
    coding, _ = infer_mask_coding(masks)
    print(f"{data}, {len(masks)} images of the {len(rows)} in {sheet.name}, vocabulary {vocabulary.name}")
    print(f"{'image':28}{'factor':10}{'LLaVA':16}{'read as':14}{'measured':14}agree")
    pairs = []
    for mask in masks:
        image = read_image(data / "images" / mask.name)
        seen = measure_indices(read_mask(mask, coding), vocabulary, image=image, side="image")
        said = tuple(llava_index(factor, rows[mask.name], vocabulary) for factor in vocabulary.factors)
        pairs.append((said, seen))
        for factor, a, b in zip(vocabulary.factors, said, seen, strict=True):
            read, measured = ("-" if i == UNKNOWN else factor.phrases[i] for i in (a, b))
            value, agree = str(rows[mask.name][factor.name]), "yes" if a == b else "no"
            print(f"{mask.stem:28}{factor.name:10}{value:16}{read:14}{measured:14}{agree}")
    for name, found in factor_agreement(pairs, vocabulary).items():
        print(
            f"{name:10}{'-' if found.rate is None else f'{round(found.rate * found.cases)} of {found.cases}'}"
        )


def llava_index(factor: Factor, row: dict[str, Any], vocabulary: Vocabulary) -> int:
    """Return the phrase a value of LLaVA stands for: a box by CoTexNet's rule, words as in reports."""
    value = row[factor.name]
    if isinstance(value, list):
        return box_cell((value[0], value[1], value[2], value[3]))
    said = {"number": f"{value} polyps", "location": f"in the {value} of the image"}.get(
        factor.name, str(value)
    )
    return parse_report(said, vocabulary).indices[vocabulary.names.index(factor.name)]


if __name__ == "__main__":
    main()
