"""The environment of an image loses what nothing uses, and keeps one copy of equal libraries."""

from __future__ import annotations

from pathlib import Path

from script_module import load_script

slim = load_script(Path(__file__).resolve().parents[2] / "deploy" / "slim_environment.py").slim


def made(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_tests_and_examples_go_and_equal_libraries_become_links(tmp_path: Path) -> None:
    library = b"x" * 100_000
    kept = made(tmp_path / "lib/gdcm/libgdcm.so", library)
    copy = made(tmp_path / "lib/gdcm/libgdcm.so.3", library)
    other = made(tmp_path / "lib/gdcm/libother.so", b"y" * 100_000)
    small = [made(tmp_path / f"lib/gdcm/small{number}.so", b"z") for number in (1, 2)]
    module = made(tmp_path / "lib/package/module.py", b"")
    made(tmp_path / "lib/package/tests/test_module.py", b"")
    made(tmp_path / "lib/pydicom/data/test_files/image.dcm", b"")
    made(tmp_path / "lib/skimage/data/camera.png", b"")
    made(tmp_path / "lib/onnxruntime/capi/libonnxruntime.so.1", library)
    slim(tmp_path)
    assert {path for path in tmp_path.rglob("*") if not path.is_dir()} == {kept, copy, other, module, *small}
    assert copy.readlink() == Path("libgdcm.so")
    assert copy.read_bytes() == library
    assert not any(path.is_symlink() for path in (kept, other, *small))
