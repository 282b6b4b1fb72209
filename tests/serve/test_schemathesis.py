"""schemathesis, by its own program, against a server process: every answer is as the OpenAPI document says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import Process

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "missing_required_header",
)


@pytest.mark.parametrize(
    ("phases", "seconds"),
    [
        ("examples,coverage", 60),
        pytest.param("examples,coverage,fuzzing,stateful", 200, marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(600)
def test_answers_are_as_described(phases: str, seconds: int, start: Callable[..., Process], tmp_path: Path) -> None:
    pytest.importorskip("schemathesis")
    server = start()
    program = Path(sys.executable).with_name("schemathesis")
    command = [program, "run", f"{server.url}/openapi.json", "--phases", phases, "--checks", ",".join(CHECKS)]
    command += ["--max-time", str(seconds), "--exclude-path-regex", "stream$"]  # an answer that goes on is not JSON
    command += ["--suppress-health-check", "all", "--continue-on-failure", "--warnings", "off", "--seed", "1"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False)
    assert told.returncode == 0, told.stdout[-5000:] + told.stderr[-2000:]
    assert "Coverage" in told.stdout
    assert server.end() == 0
