"""What do words buy where few training images have a mask? Arms of the same seed and steps, case by case.

    python benchmarks/few_masks.py DATA --out DIR [--masks 0.05] [--steps 1000 | --epochs 3] [--model stpnet]
        [--arms masks_only,pseudo_labels,words,shuffled] [--image-size 160] [--seed 0] [--config FILE]

Every arm sees the same few masks, chosen by the seed, and makes the same number of steps of the same size;
the first one named is what the others are compared with. Prints a Markdown table: mean per-case Dice on the
test split, overall and by lesion-size tercile, and the paired difference with its 95 % interval (bootstrap
over patients where ids are known). An arm that is already finished in DIR is not trained again; an
interrupted one is resumed.
"""

from __future__ import annotations

import argparse

from machine import describe_machine
from study_table import Changes, add_options, dice, paired, run_arms

_SHUFFLED: Changes = {"unmasked": "words", "text": "reports", "shuffle_words": True}

#: What each arm does with the images without mask.
ARMS: dict[str, Changes] = {
    "masks_only": {"unmasked": "leave_out", "text": "none"},
    "masks_with_words": {"unmasked": "leave_out", "text": "reports"},
    "pseudo_labels": {"unmasked": "pseudo_labels", "text": "none"},
    "words": {"unmasked": "words", "text": "reports"},
    "shuffled": _SHUFFLED,
    # Parts of "words", one at a time.
    "retrieval": {"unmasked": "words", "text": "reports", "agreement_weight": 0.0, "pseudo_weight": 0.0},
    "agreement": {"unmasked": "words", "text": "reports", "pseudo_weight": 0.0},
    "checked": {"unmasked": "words", "text": "reports", "agreement_weight": 0.0},
    "unchecked": {"unmasked": "words", "text": "reports", "check_words": False},
    "unprompted": {"unmasked": "words", "text": "reports", "word_prompts": 0.0},
    # Pseudo labels of the pixels alone that the averaged network is sure of.
    "pseudo_labels_sure": {"unmasked": "pseudo_labels", "text": "none", "pseudo_confidence": 0.75},
    "words_sure": {"unmasked": "words", "text": "reports", "pseudo_confidence": 0.75},
    "shuffled_sure": {**_SHUFFLED, "pseudo_confidence": 0.75},
}

_MAIN = "masks_only,pseudo_labels,words,shuffled"


def arms_named(text: str) -> list[str]:
    """Return the arms of a list with commas; refuse unknown ones."""
    names = text.split(",")
    unknown = [name for name in names if name not in ARMS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no arm {', '.join(unknown)}; there are {', '.join(ARMS)}")
    return names


def main() -> None:
    """Parse the arguments, train the arms, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    parser.add_argument("--masks", type=float, default=0.05, help="share of the training masks that are used")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--steps", type=int, help="steps instead of epochs")
    parser.add_argument("--model", choices=("stpnet", "cotexnet"), default="stpnet")
    parser.add_argument("--arms", type=arms_named, default=_MAIN, help=f"of {', '.join(ARMS)}")
    options = parser.parse_args()
    budget = {"epochs": options.epochs} if options.steps is None else {"steps": options.steps}
    shared = {**budget, "model": options.model, "masks": options.masks}
    found = run_arms(options, {name: ARMS[name] for name in options.arms}, shared)
    results = {name: result.cases for name, result in found.items()}
    baseline = next(iter(results.values()))
    length = f"{options.epochs} epochs" if options.steps is None else f"{options.steps} steps"
    print(describe_machine())
    print(
        f"{options.model}, {options.masks:g} of the masks, {length}, {options.image_size} px, seed "
        f"{options.seed}, {len(baseline)} test cases\n"
    )
    groups = {"all": baseline.index}
    for size in ("small", "medium", "large"):
        groups[f"{size} lesions"] = baseline.index[baseline["tercile"] == size]
    print(f"| arm | {' | '.join(f'{name} ({len(ids)})' for name, ids in groups.items())} |")
    print("| --- |" + " --- |" * len(groups))
    for number, (name, cases) in enumerate(results.items()):
        cells = [
            f"{dice(cases, ids).mean():.4f}" + (f", {paired(cases, baseline, ids)}" if number else "")
            for ids in groups.values()
        ]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
