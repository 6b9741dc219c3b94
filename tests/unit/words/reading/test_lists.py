"""Lists of places and of counts: what belongs together is joined, and what may belong together is unknown."""

import pytest

from lexiseg.words.description import UNKNOWN
from lexiseg.words.reading.reports import parse_report
from lexiseg.words.vocabulary import load_vocabulary

CHEST = load_vocabulary("chest")
POLYP = load_vocabulary("polyp")
X = UNKNOWN


@pytest.mark.parametrize(
    ("sentence", "count"),
    [
        ("One lesion in left lower lung, one lesion in left upper lung.", X),
        ("One infected area, a single lesion in the lower left lung.", X),
        ("One lesion in the left lung. One lesion in the right lung. One lesion at the apex.", X),
        ("One infected area, two lesions in the lower left lung.", X),
        ("Two lesions in left lower lung, two lesions in left upper lung.", 1),
        ("Several lesions in left lower lung, two lesions in left upper lung.", 1),
        ("Bilateral pulmonary infection, one infected area, upper left lung and middle right lung.", 0),
        ("Bilateral pulmonary infection, two infected areas, upper left lung and middle right lung.", 1),
    ],
)
def test_two_counts_are_no_agreement(sentence: str, count: int) -> None:
    description = parse_report(sentence, CHEST)
    assert description.indices[1] == count
    assert any(problem.startswith("Infected areas: ") for problem in description.problems) == (count == X)


def test_the_reason_quotes_both_counts() -> None:
    description = parse_report("One small polyp upper left, one large polyp lower right.", POLYP)
    assert description.indices[0] == X
    assert description.problems[0] == (
        "Number: 'One small polyp' and 'one large polyp' may count the same or different ones"
    )
