"""The commands of the guide and of `--help` are run as they stand there."""

import os
import re
import subprocess
from pathlib import Path

import apexlib

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide"


def shell(binary, server, tmp_path, script):
    """Runs a script in which `apextrade` is the binary and speaks to the server."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    if not (folder / "apextrade").exists():
        (folder / "apextrade").symlink_to(binary)
    env = apexlib.environment({"APEX_GATEWAY": server.url, "APEX_DATA_DIR": str(server.data_dir)})
    env["PATH"] = f"{folder}:{os.environ['PATH']}"
    return subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=env,
                          capture_output=True, text=True, timeout=60, check=False)


def test_every_command_of_the_orders_guide_runs(binary, server, tmp_path):
    text = (GUIDE / "orders.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    commands = sum(block.count("apextrade ") for block in blocks)
    assert len(blocks) >= 8 and commands >= 23
    for block in blocks:
        done = shell(binary, server, tmp_path, block)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"


def test_every_example_of_submit_help_runs(binary, server, tmp_path, cli):
    shown = cli("orders", "submit", "--help").stdout
    examples = [line.strip() for line in shown.splitlines()
                if line.strip().startswith("apextrade orders submit")]
    assert len(examples) == 8
    for line in examples:
        done = shell(binary, server, tmp_path, line)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
