"""`cases.csv` read back, and its cases in groups: by the size and the number of lesions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from lexiseg.errors import DataError
from lexiseg.evaluation.scores.cases import NO_LESION, TERCILES
from lexiseg.open_files import open_errors
from lexiseg.printable import text_of_exact_cell

#: The group that holds every case.
ALL = "all"


def read_cases(file: Path) -> pd.DataFrame:
    """Read a `cases.csv`.

    Args:
        file: The file, as `evaluate` wrote it.

    Returns:
        One row per case, indexed by `id` (text); `patient` is None if it is not known.

    Raises:
        DataError: The file is missing or is no such table.
    """
    try:
        with open_errors(file):
            # Only an empty cell is a missing value: images and patients may be called "NA" or "null".
            table: pd.DataFrame = pd.read_csv(
                file,
                keep_default_na=False,
                na_values=[""],
                dtype=dict.fromkeys(("id", "patient", "source"), object),
            )
        table = table.set_index("id").astype({"dice": float, "truth_share": float, "lesions": int})
        if not np.isfinite(table[["dice", "truth_share"]].to_numpy()).all():
            raise ValueError("a score is not finite")
        # As objects: texts of pandas hold no bytes that are not UTF-8.
        table.index = pd.Index([text_of_exact_cell(text) for text in table.index], dtype=object, name="id")
        patients = [None if pd.isna(text) else text_of_exact_cell(text) for text in table["patient"]]
        table["patient"] = pd.Series(patients, index=table.index, dtype=object)
        if not table.index.is_unique:
            raise ValueError("a case appears twice")
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{file} is not a table of evaluated cases ({error}). `lexiseg evaluate` writes one.",
            code="LEX-DATA-147",
        ) from error
    return table


def patients_of(cases: pd.DataFrame) -> list[str | None]:
    """Return the patient of each case; None where it is not known."""
    return [None if value is None else str(value) for value in cases["patient"]]


def case_groups(cases: pd.DataFrame) -> dict[str, npt.NDArray[np.bool_]]:
    """Return which cases are in which group: all, by lesion size (terciles), by number of lesions.

    Args:
        cases: A table as `read_cases` returns it.

    Returns:
        Group's name to `(cases,)` booleans; groups without a case are left out.
    """
    tercile, lesions = cases["tercile"].to_numpy(), cases["lesions"].to_numpy()
    groups = {ALL: np.ones(len(cases), dtype=bool)}
    groups |= {f"{name} lesions": tercile == name for name in TERCILES}
    groups |= {"one lesion": lesions == 1, "several lesions": lesions > 1, NO_LESION: lesions == 0}
    return {name: np.asarray(members, dtype=bool) for name, members in groups.items() if members.any()}
