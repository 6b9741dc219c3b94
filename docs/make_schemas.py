"""Write the JSON schemas of the documentation: `python docs/make_schemas.py`.

One file per entry of `lexiseg.schemas.SCHEMAS`; a test compares them with the code.
"""

from __future__ import annotations

import json
from pathlib import Path

from lexiseg.schemas import SCHEMAS, schema

FOLDER = Path(__file__).parent / "reference" / "schemas"


def schema_files() -> dict[Path, str]:
    """Return the content of every schema file."""
    return {
        FOLDER / f"{name}.schema.json": json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"
        for name in SCHEMAS
    }


def main() -> None:
    """Write the files that differ, and remove those of schemas that are gone."""
    files = schema_files()
    FOLDER.mkdir(exist_ok=True)
    for path, text in files.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"{path} updated")
    for path in set(FOLDER.glob("*.schema.json")) - files.keys():
        path.unlink()
        print(f"{path} removed")


if __name__ == "__main__":
    main()
