"""A short draw of the campaign against a real server."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))

from server_campaign import has_defects, run_described_cases, send_changed_uploads

from server_process import served


def test_changed_uploads_and_described_requests_meet_no_defect() -> None:
    with served("covid-xray") as server:
        found = send_changed_uploads(server.address, 60, start=20261129)
        assert found.faults == []
        assert sum(found.answers.values()) == 60
        assert len(found.answers) > 3, found.answers
        done = run_described_cases(server.address, 60, start=20261129)
        assert done.returncode == 0, done.stdout
        assert not has_defects(server.log)
        assert server.end() == 0
