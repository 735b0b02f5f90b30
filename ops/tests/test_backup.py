"""Backups from outside: the archive comes back, old ones go, and nothing goes under a backup."""

import hashlib
import os

HOUR = 3_600


def make_csv(path, prices):
    rows = [f"{1_700_000_000_000_000_000 + index},{price},1"
            for index, price in enumerate(prices)]
    path.write_text("\n".join(["ts_ns,price,size", *rows]) + "\n")
    return path


def parts(store):
    return sorted((store / "data" / "backup" / "blobs").iterdir())


def take(cli, data_dir, store, *more):
    return cli("backup", "--to", store, "--data-dir", data_dir, "--json", *more).json


def test_old_backups_go_with_what_only_they_had_and_the_archive_comes_back(
        cli, server, data_dir, tmp_path):
    store, mark = tmp_path / "store", data_dir / "of-a-person"
    mark.write_text("first")
    first = take(cli, data_dir, store)
    mark.write_text("second")
    server.stop()
    csv = make_csv(tmp_path / "ticks.csv", range(100, 400))
    cli("import", csv, "--instrument", "IBM.XNYS", "--data-dir", data_dir)
    second = take(cli, data_dir, store)
    again = take(cli, data_dir, store)
    assert again["copied_bytes"] == 0, again

    # Parts that are young stay, whoever needed them.
    before = parts(store)
    done = take(cli, data_dir, store, "--keep", "2")
    assert done["pruned"]["removed"] == [first["backup"], second["backup"]]
    assert done["pruned"]["kept"] == [again["backup"], done["backup"]]
    assert parts(store) == before
    for part in before:
        then = part.stat().st_mtime - 7 * HOUR
        os.utime(part, (then, then))
    pruned = cli("backup", "prune", "--to", store, "--keep", "1", "--json").json
    assert pruned["removed"] == [again["backup"]] and pruned["removed_bytes"] > 0, pruned
    assert 0 < len(parts(store)) < len(before)

    restored = tmp_path / "restored"
    cli("restore", "--from", store, "--data-dir", restored)
    assert (restored / "of-a-person").read_text() == "second"
    exported = []
    for folder in (data_dir, restored):
        out = tmp_path / f"{folder.name}.csv"
        cli("export", "--instrument", "IBM.XNYS", "--kind", "trades", "--out", out,
            "--data-dir", folder)
        exported.append(out.read_text())
    assert exported[0] == exported[1] and len(exported[0].splitlines()) == 301
    gone = cli("restore", "--from", store, "--backup", first["backup"], "--data-dir",
               tmp_path / "gone", check=False)
    assert gone.returncode == 1 and "no backup" in gone.stderr, gone.stderr


def test_a_part_that_was_changed_is_named_and_nothing_starts_on_it(cli, server, data_dir, tmp_path):
    store, restored = tmp_path / "store", tmp_path / "restored"
    take(cli, data_dir, store)
    largest = max(parts(store), key=lambda part: part.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)
    refused = cli("restore", "--from", store, "--data-dir", restored, check=False)
    assert refused.returncode == 1 and largest.name in refused.stderr, refused.stderr
    started = cli("verify", "--data-dir", restored, check=False)
    assert started.returncode == 1 and "restore" in started.stderr, started.stderr


def test_nothing_is_removed_while_a_backup_is_taken(cli, server, data_dir, tmp_path):
    store = tmp_path / "store"
    for _ in range(2):
        take(cli, data_dir, store)
    mark = store / "data" / "backup" / "writers" / "backup-1-1"
    mark.parent.mkdir(exist_ok=True)
    mark.write_bytes(b"")
    refused = cli("backup", "prune", "--to", store, "--keep", "1", check=False)
    assert refused.returncode == 1, refused.stdout
    assert "a backup that is being taken" in refused.stderr, refused.stderr
    assert len(list((store / "data" / "backup" / "manifests").iterdir())) == 2
    for wrong in (["--keep", "0"], []):
        usage = cli("backup", "prune", "--to", store, *wrong, check=False)
        assert usage.returncode == 2, usage.stderr


def test_a_folder_without_a_journal_is_neither_verified_nor_backed_up(cli, data_dir, tmp_path):
    store = tmp_path / "store"
    for command in (["verify"], ["backup", "--to", store]):
        refused = cli(*command, "--data-dir", data_dir, check=False)
        assert refused.returncode == 1, refused.stdout
        assert f'"{data_dir}" has no journal of an account' in refused.stderr, refused.stderr
    assert not store.exists()
    assert cli("doctor", "--data-dir", data_dir, check=False).stdout.count("none yet") >= 1


def test_a_backup_without_a_journal_is_not_restored(cli, server, data_dir, tmp_path):
    store = tmp_path / "store"
    taken = take(cli, data_dir, store)
    manifest = store / "data" / "backup" / "manifests" / taken["backup"]
    lines = [line for line in manifest.read_text().splitlines() if not line.startswith("journal ")]
    text = "\n".join([*lines, ""])
    manifest.write_text(text)
    hashed = store / "hashes" / "backup" / "manifests" / taken["backup"]
    hashed.write_text(hashlib.sha256(text.encode()).hexdigest() + "\n")
    refused = cli("restore", "--from", store, "--data-dir", tmp_path / "new", check=False)
    assert refused.returncode == 1 and "has no journal of an account" in refused.stderr
    assert not (tmp_path / "new").exists()


def test_a_place_in_the_data_folder_is_refused(cli, server, data_dir, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(data_dir)
    for inside in (data_dir / "backups", data_dir, link / "deep" / "er", data_dir / "x" / ".." / "y"):
        refused = cli("backup", "--to", inside, "--data-dir", data_dir, check=False)
        assert refused.returncode == 1 and "is in the data folder" in refused.stderr, refused.stderr
    assert not (data_dir / "backups").exists() and not (data_dir / "deep").exists()
    take(cli, data_dir, tmp_path / "data-elsewhere")


def test_backups_are_listed_and_a_damaged_one_says_what_to_do(cli, server, data_dir, tmp_path):
    store = tmp_path / "store"
    taken = [take(cli, data_dir, store) for _ in range(2)]
    listed = cli("backup", "list", "--to", store, "--json").json["backups"]
    for one, said in zip(listed, taken, strict=True):
        assert one["kind"] == "folder" and one["schema"] is None and one["error"] is None
        assert one["build"].count(".") == 2
        for key in ("backup", "begun_ns", "bytes", "accounts"):
            assert one[key] == said[key], key
    shown = cli("backup", "list", "--to", store).stdout.splitlines()
    assert len(shown) == 3 and shown[0].split()[:3] == ["BACKUP", "TIME", "BYTES"]
    assert shown[1].startswith(taken[0]["backup"])

    lost = max(parts(store), key=lambda part: part.stat().st_size)
    lost.unlink()
    refused = cli("restore", "--from", store, "--data-dir", tmp_path / "new", check=False)
    assert refused.returncode == 1, refused.stdout
    for said in (lost.name, taken[1]["backup"], "apextrade backup list", "--backup"):
        assert said in refused.stderr, refused.stderr
    assert "verify" not in refused.stderr
    manifest = store / "data" / "backup" / "manifests" / taken[1]["backup"]
    manifest.write_text("apextrade backup 1\n")
    listed = cli("backup", "list", "--to", store, "--json").json["backups"]
    assert [bool(one["error"]) for one in listed] == [False, True]
    missing = cli("backup", "list", "--to", tmp_path / "mistyped", check=False)
    assert missing.returncode == 1 and "no backup" in missing.stderr
    assert not (tmp_path / "mistyped").exists()


def test_a_check_reads_every_part_and_names_the_damaged(cli, server, data_dir, tmp_path):
    store = tmp_path / "store"
    first, second = (take(cli, data_dir, store)["backup"] for _ in range(2))
    sound = cli("backup", "check", "--to", store, "--json").json
    assert sound["ok"] and sound["backup"] == second and sound["damaged"] == []
    assert 0 < sound["parts"] <= len(parts(store)) and sound["bytes"] > 0
    # As somebody who changed the store's own hash along; the length is the same.
    part = max(parts(store), key=lambda one: one.stat().st_size)
    content = bytearray(part.read_bytes())
    content[0] ^= 1
    part.write_bytes(content)
    hashed = store / "hashes" / "backup" / "blobs" / part.name
    hashed.write_text(hashlib.sha256(content).hexdigest() + "\n")
    for backup in (first, second):
        bad = cli("backup", "check", "--to", store, "--backup", backup, "--json", check=False)
        assert bad.returncode == 1, bad.stdout
        named, = bad.json["damaged"]
        assert part.name in named and backup in named and not bad.json["ok"]
    refused = cli("restore", "--from", store, "--data-dir", tmp_path / "new", check=False)
    assert refused.returncode == 1 and part.name in refused.stderr, refused.stderr
    # Without the part the next backup stores it again.
    part.unlink()
    hashed.unlink()
    server.stop()
    again = take(cli, data_dir, store)
    assert again["copied_bytes"] > 0
    assert cli("backup", "check", "--to", store, "--json").json["ok"]
    missing = cli("backup", "check", "--to", tmp_path / "mistyped", check=False)
    assert missing.returncode == 1 and "no backup" in missing.stderr
