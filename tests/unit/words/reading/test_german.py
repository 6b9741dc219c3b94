"""German reports, read with files alone: the language de.yaml and a vocabulary of one's own."""

from pathlib import Path

import pytest

from lexiseg.words.description import UNKNOWN
from lexiseg.words.reading.reports import parse_report
from lexiseg.words.vocabulary import load_vocabulary

THORAX = load_vocabulary(Path(__file__).parent / "chest_de.yaml")
U, M, L, UM, UL, ML, ALL, NONE = range(8)
X = UNKNOWN


@pytest.mark.parametrize(
    ("sentence", "indices"),
    [
        ("Beidseitige Infektion, zwei Areale, links unten und rechts oben.", (0, 1, L, U)),
        ("Einseitige Infektion, ein einzelnes Areal, linke Lunge unten.", (1, 0, L, NONE)),
        ("Pneumonie im linken Unterlappen.", (X, X, L, X)),
        ("Konsolidierung im rechten Mittellappen und im linken Oberlappen.", (X, X, U, M)),
        ("Verschattung im rechten Oberfeld.", (X, X, X, U)),
        ("Die linke Lunge ist frei.", (X, X, NONE, X)),
        ("Rechte Lunge unauffällig.", (X, X, X, NONE)),
        ("Keine Infektion der linken Lunge.", (X, X, NONE, X)),
        ("Kein Nachweis einer Pneumonie.", (X, X, NONE, NONE)),
        ("Beide Lungen sind frei.", (X, X, NONE, NONE)),
        ("Infektion beider Unterlappen.", (X, X, L, L)),
        ("Beidseits Verschattungen.", (0, X, X, X)),
        ("Drei Verschattungen, linker Oberlappen.", (X, 1, U, X)),
        ("Mehrere Herde in der rechten Lunge basal.", (X, 1, X, L)),
        ("Oberfeld und Unterfeld der linken Lunge infiziert.", (X, X, UL, X)),
        ("Gesamte rechte Lunge infiziert.", (X, X, X, ALL)),
        ("Große Verschattung im linken Unterlappen.", (X, X, L, X)),
        ("LUL Infektion, rechte Lunge frei.", (X, X, L, NONE)),
        ("Verschattung von 3 cm im linken Unterlappen.", (X, X, L, X)),
        ("Infekton im linken Unterlappen.", (X, X, L, X)),
        # not certain, past, limited, negated twice, about something else
        ("Mögliche Pneumonie im linken Unterlappen.", (X, X, X, X)),
        ("Verdacht auf Pneumonie links unten.", (X, X, X, X)),
        ("Pneumonie im linken Unterlappen nicht auszuschließen.", (X, X, X, X)),
        ("Zustand nach Pneumonie im linken Unterlappen.", (X, X, X, X)),
        ("Die linke Lunge ist nicht frei.", (X, X, X, X)),
        ("Keine große Verschattung in der linken Lunge.", (X, X, X, X)),
        ("Weder links noch rechts eine Infektion.", (X, X, X, X)),
        ("Linke Lunge frei bis auf den Unterlappen.", (X, X, X, X)),
        ("Infektion im linken oder rechten Unterlappen.", (X, X, X, X)),
        ("Pleuraerguss links unten.", (X, X, X, X)),
    ],
)
def test_german(sentence: str, indices: tuple[int, ...]) -> None:
    assert parse_report(sentence, THORAX).indices == indices
