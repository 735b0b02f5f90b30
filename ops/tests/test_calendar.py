"""Trading calendars against others' work: the sessions of `exchange_calendars`, and Python's own
reading of the time zone database in `tzdata`. Both know nothing of the platform."""

import importlib.resources
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import exchange_calendars
import pytest

import apexlib

FIRST, LAST = date(2000, 1, 1), date(2037, 12, 31)
SECOND_NS = 1_000_000_000

# Of exchange_calendars about its own use of pandas.
pytestmark = pytest.mark.filterwarnings("ignore:Series.values returning an ndarray")


def zone(name):
    """The zone from the package `tzdata`, not from the machine, whose database may be old."""
    folder, _, file = name.rpartition("/")
    path = importlib.resources.files("tzdata").joinpath("zoneinfo", *folder.split("/"), file)
    with path.open("rb") as packed:
        return ZoneInfo.from_file(packed, key=name)


NEW_YORK, LONDON = zone("America/New_York"), zone("Europe/London")


def nanos(moment):
    """Exact: an aware time as nanoseconds since 1970."""
    return (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(seconds=1) * SECOND_NS


def dates():
    return [FIRST + timedelta(days) for days in range((LAST - FIRST).days + 1)]


@pytest.fixture(scope="module")
def sessions(binary):
    """`sessions("XNYS")` lists all sessions of 2000 to 2037; asked for once a calendar."""
    known = {}

    def listed(name):
        if name not in known:
            done = apexlib.run_cli(
                binary, "calendar", name, "--from", FIRST, "--to", LAST, "--json")
            known[name] = done.json
        return known[name]["sessions"]

    return listed


def regular(sessions):
    """(open, close) of the regular session, in nanoseconds, by trading date."""
    found = [(one["trading_date"], (one["open_ns"], one["close_ns"]))
             for one in sessions if one["kind"] == "regular"]
    by_date = dict(found)
    assert len(found) == len(by_date), "a date has two regular sessions"
    return by_date


@pytest.mark.parametrize("name", ["XNYS", "XLON"])
def test_every_session_is_that_of_exchange_calendars(name, sessions):
    """By its own rules to the end of 2037, since it lists no dates beyond next year by default."""
    theirs = exchange_calendars.get_calendar(name, start=str(FIRST), end=str(LAST))
    expected = {
        str(row.Index.date()): (nanos(row.open.to_pydatetime()), nanos(row.close.to_pydatetime()))
        for row in theirs.schedule.itertuples()
    }
    assert len(expected) > 9500
    found = regular(sessions(name))
    differing = {day for day in found.keys() | expected.keys()
                 if found.get(day) != expected.get(day)}
    shown = [f"{day}: found {found.get(day)}, expected {expected.get(day)}"
             for day in sorted(differing)[:20]]
    assert not differing, "\n".join(shown)


def test_extended_hours_surround_each_session_of_new_york(sessions):
    by_date = {}
    for one in sessions("XNYS"):
        by_date.setdefault(one["trading_date"], []).append(one)
    for day, found in by_date.items():
        at = lambda hour: nanos(datetime.combine(  # noqa: E731
            date.fromisoformat(day), time(hour), NEW_YORK).astimezone(timezone.utc))
        assert [one["kind"] for one in found] == ["pre", "regular", "post"], day
        pre, usual, post = found
        assert (pre["open_ns"], pre["close_ns"]) == (at(4), usual["open_ns"]), day
        end = at(20) if usual["close_ns"] == at(16) else at(17)
        assert (post["open_ns"], post["close_ns"]) == (usual["close_ns"], end), day


def test_currencies_trade_from_17_00_to_17_00_on_five_days_a_week(sessions):
    def turn(day):
        return nanos(datetime.combine(day, time(17), NEW_YORK).astimezone(timezone.utc))

    expected = {str(day): (turn(day - timedelta(1)), turn(day))
                for day in dates() if day.weekday() < 5}
    assert regular(sessions("FX")) == expected


def test_coins_trade_on_every_day_of_utc(sessions):
    def midnight(day):
        return nanos(datetime.combine(day, time(), timezone.utc))

    expected = {str(day): (midnight(day), midnight(day + timedelta(1))) for day in dates()}
    assert regular(sessions("CRYPTO")) == expected


@pytest.mark.parametrize("name, local", [("XNYS", NEW_YORK), ("XLON", LONDON), ("FX", NEW_YORK)])
def test_local_times_have_the_offset_of_the_time_zone_database(name, local, sessions):
    for one in sessions(name):
        for end in ("open", "close"):
            moment = datetime.fromtimestamp(one[f"{end}_ns"] // SECOND_NS, local)
            assert one[end] == moment.isoformat(), one


def changes(local):
    """The instants of 2000 to 2037 at which the offset changes, in whole seconds since 1970."""
    def offset(second):
        return datetime.fromtimestamp(second, local).utcoffset()

    found = []
    day = int(datetime(2000, 1, 2, tzinfo=timezone.utc).timestamp())
    end = int(datetime(2037, 12, 31, tzinfo=timezone.utc).timestamp())
    while day < end:
        before, after = day, day + 86_400
        if offset(before) != offset(after):
            while after - before > 1:
                middle = (before + after) // 2
                if offset(middle) == offset(day):
                    before = middle
                else:
                    after = middle
            found.append(after)
        day += 86_400
    return found


@pytest.mark.parametrize("name, local", [("XNYS", NEW_YORK), ("XLON", LONDON)])
def test_every_change_of_the_clocks_is_at_its_second(name, local, cli):
    found = changes(local)
    assert len(found) == 2 * 38
    for change in found:
        for second in (change - 1, change):
            answer = cli("calendar", name, "--at", second * SECOND_NS, "--json").json
            expected = datetime.fromtimestamp(second, local)
            assert answer["local"] == expected.isoformat(), second
            # Clocks change while both markets are closed, so the next opening is after it.
            opening = datetime.fromtimestamp(answer["next_open_ns"] // SECOND_NS, local)
            assert opening.time() == (time(9, 30) if name == "XNYS" else time(8))


def test_a_day_order_works_until_the_close_and_not_to_the_second_before(cli):
    answer = cli("calendar", "XNYS", "--at", "2018-04-27T15:59:59-04:00", "--json").json
    assert answer["is_open"] and answer["session"]["kind"] == "regular"
    close = nanos(datetime(2018, 4, 27, 20, tzinfo=timezone.utc))
    assert answer["day_order_expiry_ns"] == answer["next_close_ns"] == close
    after = cli("calendar", "XNYS", "--at", close, "--json").json
    assert not after["is_open"] and after["session"]["kind"] == "post"
    assert after["day_order_expiry_ns"] == close + 3 * 86_400 * SECOND_NS
    evening = cli("calendar", "FX", "--at", "2018-04-25T18:00:00-04:00", "--json").json
    assert evening["day_order_expiry_ns"] == nanos(datetime(2018, 4, 26, 21, tzinfo=timezone.utc))
    assert evening["trading_date"] == "2018-04-26"


def test_an_operator_closes_a_day_by_a_table(cli, tmp_path):
    table = tmp_path / "days.toml"
    table.write_text('[[XNYS]]\ndate = "2026-03-04"\nname = "Mourning"\nhours = "closed"\n'
                     '[[XNYS]]\ndate = "2026-03-05"\nname = "Late opening"\nhours = { special = '
                     '[{ kind = "regular", opens = "12:00", closes = "16:00" }] }\n')
    span = ("calendar", "XNYS", "--from", "2026-03-03", "--to", "2026-03-05", "--json")
    usual, changed = cli(*span).json, cli(*span, "--days", table).json
    assert sorted(regular(usual["sessions"])) == ["2026-03-03", "2026-03-04", "2026-03-05"]
    assert sorted(regular(changed["sessions"])) == ["2026-03-03", "2026-03-05"]
    assert changed["sessions"][-1]["open"] == "2026-03-05T12:00:00-05:00"
    assert changed["special_days"] == [{"date": "2026-03-04", "name": "Mourning"},
                                       {"date": "2026-03-05", "name": "Late opening"}]
    shown = cli("calendar", "XNYS", "--at", "2026-03-04T12:00:00-05:00", "--days", table).stdout
    assert "closed, Mourning" in shown and "next open 2026-03-05T12:00:00-05:00" in shown


@pytest.mark.parametrize("status, words, said", [
    (1, ["NYSE", "--at", "1524859199000000000"], "known are XNYS, XLON, FX, CRYPTO"),
    (1, ["XNYS", "--at", "1999-12-31T23:59:59-05:00"], "instant 1999-12-31T23:59:59-05:00"),
    (1, ["XNYS", "--at", "2038-01-01T00:00:00-05:00"], "instant 2038-01-01T00:00:00-05:00"),
    (1, ["XNYS", "--from", "1999-12-31", "--to", "2000-01-31"], "from 1999-12-31"),
    (1, ["XNYS", "--from", "2020-01-02", "--to", "2020-01-01"], 'to "2020-01-01"'),
    (1, ["XNYS", "--at", "1524859199000000000", "--days", "missing.toml"], "missing.toml"),
    (2, ["XNYS", "--at", "2018-04-27T16:00:00"], "--at"),
    (2, ["XNYS", "--from", "2018-02-30", "--to", "2018-03-01"], "--from"),
    (2, ["XNYS", "--from", "2018-02-20"], "--to"),
    (2, ["XNYS"], "--at"),
])
def test_what_cannot_be_answered_names_the_argument(status, words, said, cli):
    done = cli("calendar", *words, check=False)
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert done.stdout == ""
    if status == 1:
        assert done.stderr.count("\n") == 1, done.stderr
