"""What every black-box test may ask for. `cargo xtask test` sets APEXTRADE_BIN."""

import os
import time
from pathlib import Path

import pytest

import apexlib
from postgres import Postgres, programs
from venuesim import VenueSim

ROOT = Path(__file__).resolve().parents[2]
SECOND_NS = 1_000_000_000


@pytest.fixture(scope="session")
def binary():
    """The built `apextrade`."""
    path = os.environ.get("APEXTRADE_BIN")
    if not path:
        pytest.fail("APEXTRADE_BIN is not set: run `cargo xtask test --only blackbox`")
    assert os.access(path, os.X_OK), f"APEXTRADE_BIN={path} cannot be executed"
    return Path(path).resolve()


@pytest.fixture(scope="session")
def test_data():
    """The folder of recorded market data; tests that need it are skipped, by name, without it."""
    path = Path(os.environ.get("APEX_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not path.is_dir():
        pytest.skip(f"recorded market data is not at {path}: set APEX_TEST_DATA")
    return path.resolve()


@pytest.fixture
def free_port():
    return apexlib.free_port()


@pytest.fixture
def data_dir(tmp_path):
    """An empty data folder: a first start."""
    path = tmp_path / "data"
    path.mkdir()
    return path


@pytest.fixture
def server(binary, data_dir):
    """`apextrade up` on the simulated market, ready; stopped after the test."""
    with apexlib.Server(binary, data_dir) as started:
        yield started


@pytest.fixture
def make_server(binary, tmp_path):
    """Makes servers that are not started yet: `make_server("up", "--feed", "sim")`.

    Each has a data folder of its own unless `data_dir` says otherwise; all are killed at the end.
    """
    made = []

    def make(*arguments, data_dir=None, **options):
        folder = Path(data_dir or tmp_path / f"data{len(made)}")
        folder.mkdir(parents=True, exist_ok=True)
        options.setdefault("name", f"server{len(made)}")
        made.append(apexlib.Server(binary, folder, arguments or ("up",), **options))
        return made[-1]

    yield make
    for one in made:
        one.kill()


@pytest.fixture
def venue(binary, tmp_path):
    """A running `apextrade venue-sim`, for `make_server("up", "--venue", venue.address)`."""
    data_dir = tmp_path / "venue"
    data_dir.mkdir()
    one = VenueSim(binary, data_dir, apexlib.free_port()).start()
    yield one
    one.kill()


@pytest.fixture
def cli(binary):
    """Runs a command of the binary: `cli("verify", "--json", "--data-dir", d).json`."""
    return lambda *arguments, **options: apexlib.run_cli(binary, *arguments, **options)


def count(name, short):
    """A count from the environment (`cargo xtask soak` sets it), or the short form's."""
    return int(os.environ.get(name, short))


@pytest.fixture(scope="session")
def kills():
    """How many times the kill test kills: 20 in CI, 200 in the long form."""
    return count("APEX_KILLS", 20)


@pytest.fixture(scope="session")
def strace_answers():
    """How many answers the strace test checks."""
    return count("APEX_STRACE_ANSWERS", 2000)


@pytest.fixture
def calendar(cli):
    """What the calendar says of now: not in the seconds round an edge, where an order belongs to
    the one or the other."""
    def far_from_edges(name):
        now = time.time_ns()
        said = cli("calendar", name, "--at", now, "--json").json
        edges = [said["next_open_ns"], said["next_close_ns"], said["day_order_expiry_ns"]]
        return said if min(edges) - now > 20 * SECOND_NS else None

    return lambda name: apexlib.until(
        f"no edge of {name} is near", lambda: far_from_edges(name), seconds=60)


@pytest.fixture
def postgres():
    """A PostgreSQL server of this test alone; skipped, by name, where none is installed."""
    if programs() is None:
        if "CI" in os.environ:
            pytest.fail("PostgreSQL's server is not installed")
        pytest.skip("PostgreSQL's server is not installed (Debian: sudo apt-get install postgresql)")
    one = Postgres()
    yield one
    one.close()


@pytest.fixture(scope="session")
def away_seconds():
    """How long a database is away: 4 s in CI, 60 s in the long form."""
    return count("APEX_AWAY_SECONDS", 4)
