"""The measurements: each gives rows of the table, as dictionaries."""
import json
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import time
import urllib.parse

from clients import Failure
from server import BASE, core_seconds

HERE = os.path.dirname(os.path.abspath(__file__))
SUBMITTERS, STREAMS, STREAM_RECORDS = 32, 200, 40
SETTLE_SECONDS = 0.3
TAKEN = 0.03  # a core of which others took more was not ours
MIB = 1 << 20


class Session:
    """The server with its worker at work, who loads it, and what each moment looked like."""

    def __init__(self, server, load, made, cores, readers, seconds, rounds):
        self.server, self.load, self.made, self.cores, self.readers = server, load, made, cores, readers
        self.seconds, self.rounds = seconds, rounds
        self.seed = 10**6
        self.quiet, self.loaded = [], []  # windows, in turns
        self.settle = min(SETTLE_SECONDS, seconds / 10)
        self.window(seconds / 2, self.quiet)

    def look(self):
        own = sum(usage.ru_utime + usage.ru_stime
                  for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)))
        trained, waited, others = self.server.times()
        return {"time": time.monotonic(), "iterations": self.server.iterations(), "trained": trained, "waited": waited,
                "ours": own + others, "server": others, "core": core_seconds(self.cores[0])}

    def between(self, before, after):
        difference = {name: after[name] - before[name] for name in before}
        seconds = difference["time"]
        return {"seconds": seconds, "iterations": difference["iterations"],
                "iterations_per_second": difference["iterations"] / seconds,
                "iterations_per_processor_second": difference["iterations"] / difference["trained"]
                if difference["trained"] > 0 else 0,
                # The worker's thread was ready and its core had something else to do.
                "worker_core_taken": difference["waited"] / seconds,
                "server_seconds": difference["server"],
                "core_taken": max(0.0, (difference["core"] - difference["ours"]) / seconds)}

    def window(self, seconds, into):
        before = self.look()
        time.sleep(seconds)
        into.append(self.between(before, self.look()))

    def under_load(self, work):
        """What `work` returns, and its window; a quiet one follows."""
        time.sleep(self.settle)
        before = self.look()
        result = work()
        window = self.between(before, self.look())
        self.loaded.append(window)
        time.sleep(self.settle)
        self.window(self.seconds / 2, self.quiet)
        return result, window

    def next_seeds(self):
        self.seed += 10**6
        return self.seed


def note_of(windows):
    taken = statistics.mean(window["core_taken"] for window in windows)
    return f"others took {100 * taken:.0f} % of the core" if taken > TAKEN else ""


# -- reading


def list_path(**query):
    return f"{BASE}/experiments?" + urllib.parse.urlencode(query)


def readings(server, made):
    """(name, paths, milliseconds required or None)"""
    drawn = random.Random(1)
    identities = [drawn.randrange(2, made["experiments"]) for _ in range(500)]
    series = BASE + "/experiments/{}/metrics?name=train_loss"
    table = f"{BASE}/sweeps/{made['sweep']}/table"
    return [("first page of the list", [f"{BASE}/experiments"], 50),
            ("filtered and sorted page", filtered(server, made), 100),
            ("one experiment", [f"{BASE}/experiments/{number}" for number in identities], 10),
            (f"series of {made['long_points']:,} points", [series.format(made["long"])], 30),
            (f"{made['long_points']:,} points of {10 * made['long_points']:,}",
             [series.format(made["longest"]) + f"&max_points={made['long_points']}"], None),
            (f"sweep table, {made['arms']} cells × {made['seeds']} seeds",
             [table, table + "?format=markdown", table + "?metric=best.validation_accuracy"], 100)]


def filtered(server, made):
    """By parameters, metrics, tags, names and times; with few and with many that pass."""
    plain = [list_path(state="failed"), list_path(sweep=made["sweep"], state="succeeded")]
    if server.open(list_path(filter="id > 0"))[0] != 200:  # a server before there were filters
        return plain
    return plain + [list_path(filter='state = "succeeded" AND params.regularizers.datagrad.weight > 1',
                              sort="-metrics.test_accuracy"),
                    list_path(filter='metrics.test_accuracy >= 0.9 AND tags.data = "moons"', sort="metrics.validation_loss"),
                    list_path(filter='name LIKE "%mlp%" OR state IN ("failed", "diverged")', sort="-finished_at"),
                    list_path(filter='tags.who = "anna" OR tags.who = "ben"', sort="-metrics.best.validation_accuracy,name"),
                    list_path(filter="NOT (params.optimizer.learning_rate BETWEEN 0.002 AND 0.004) AND elapsed_seconds < 50",
                              sort="params.optimizer.learning_rate,-id"),
                    list_path(filter=f"sweep = {made['sweep']} AND params.seed <= 5", sort="-metrics.test_accuracy"),
                    list_path(filter='state = "diverged" OR metrics.train_loss IS NAN')]


def check_paths(session, rows):
    """Every path once, before it is measured: a refused one is a fault of this tool."""
    for _, paths, _ in rows:
        for path in paths[:20]:
            status, text = session.server.open(path)
            if status != 200:
                raise Failure(f"{path}: {status} {text[:300]}")


def merge(parts, windows):
    """Of the rounds of one row: the middle p99, all answers. Processor time hardly depends on who else is at work."""
    answers = sum(part["answers"] for part in parts)
    return {"answers": answers,
            "processor_ms": 1e3 * sum(window["server_seconds"] for window in windows) / max(1, answers),
            "per_second": sum(part["answers"] for part in parts) / sum(part["seconds"] for part in parts),
            "p50_ms": statistics.median(part["p50_ms"] for part in parts),
            "p99_ms": statistics.median(part["p99_ms"] for part in parts),
            "worst_p99_ms": max(part["p99_ms"] for part in parts), "maximum_ms": max(part["maximum_ms"] for part in parts),
            "failures": sum(part["refused"] + part["broken"] + part["timeouts"] for part in parts)}


def read(session):
    kinds = readings(session.server, session.made)
    check_paths(session, kinds)
    parts, windows, memory = {}, {}, []
    for _ in range(session.rounds):
        for name, paths, _ in kinds:
            result, window = session.under_load(lambda: session.load.get(paths, session.readers, session.seconds))
            parts.setdefault(name, []).append(result)
            windows.setdefault(name, []).append(window)
        memory.append(session.server.memory())
    rows = []
    for name, _, required in kinds:
        row = merge(parts[name], windows[name])
        rows.append({"group": "reading", "name": name, "clients": session.readers, **row,
                     "required": {"p99_ms": required} if required else {},
                     "met": row["p99_ms"] < required and row["failures"] == 0 if required else None,
                     "note": note_of(windows[name]),
                     "windows": windows[name]})
    return rows, memory


# -- submissions


def sync_rate(folder, seconds):
    """Appends of 4 KiB, each synced, that the disk can do one after the other."""
    path = os.path.join(folder, "sync-probe")
    count, end = 0, time.monotonic() + seconds
    with open(path, "wb", buffering=0) as file:
        began = time.monotonic()
        while time.monotonic() < end:
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            count += 1
        rate = count / (time.monotonic() - began)
    os.unlink(path)
    return rate


def interrupts():
    """How many from devices each core has had."""
    with open("/proc/interrupts", encoding="utf-8") as file:
        cores = [int(name.removeprefix("CPU")) for name in file.readline().split()]
        rows = [line.split() for line in file]
    return {core: sum(int(row[1 + place]) for row in rows if row[0].rstrip(":").isdigit() and len(row) > len(cores))
            for place, core in enumerate(cores)}


def disk_core(folder):
    """The core that got most interrupts while the disk was written to; None where there were none."""
    before = interrupts()
    sync_rate(folder, 0.3)
    got = {core: count - before[core] for core, count in interrupts().items()}
    core = max(got, key=got.get)
    return core if got[core] > 0 else None


def submission():
    return json.dumps({"name": "under load, seed @SEED@", "tags": {"what": "load"}, "seed": 4711,
                       "dataset": {"name": "moons", "n": 2000}, "model": {"preset": "mlp", "widths": [64, 64]},
                       "regularizers": [{"type": "datagrad", "weight": 5}],
                       "training": {"iterations": 10000, "batch_size": 50}}).replace("4711", "@SEED@")


def stored(server):
    return sum(value for name, value in server.numbers().items() if name.startswith("gradreg_experiments{"))


def acknowledged(load, result, clients):
    """(fewest, most) that may be stored. wrk ends in the middle of requests that are answered to nobody."""
    accepted = result["answers"] - result["refused"]
    if hasattr(load, "bodies"):
        ids = [json.loads(text)["id"] for status, text in load.bodies if status == 201]
        if len(set(ids)) != len(ids) or len(ids) != accepted:
            raise Failure(f"{accepted} submissions were acknowledged with {len(set(ids))} different ids")
        return accepted, accepted
    return accepted, accepted + clients


def submit(session, folder):
    rows = []
    session.load.post(f"{BASE}/experiments", submission(), session.next_seeds(), 1, min(1, session.seconds))  # reads the data set
    time.sleep(session.settle)
    for clients, required in ((SUBMITTERS, 500), (1, 100)):
        parts, windows, syncs, group, good = [], [], [], [], True
        for _ in range(session.rounds):
            syncs.append(sync_rate(folder, session.seconds / 4))
            before, numbers = stored(session.server), session.server.numbers()
            result, window = session.under_load(lambda: session.load.post(
                f"{BASE}/experiments", submission(), session.next_seeds(), clients, session.seconds))
            after = session.server.numbers()
            fewest, most = acknowledged(session.load, result, clients)
            good = good and fewest <= stored(session.server) - before <= most
            writes, commits = (after[name] - numbers[name] for name in
                               ("gradreg_store_writes_total", "gradreg_store_commits_total"))
            group.append(writes / max(1, commits))
            parts.append(result)
            windows.append(window)
        row = merge(parts, windows)
        per_second, syncs_per_second = row["per_second"], statistics.median(syncs)
        note = f"this disk: {syncs_per_second:.0f} syncs/s; {statistics.mean(group):.1f} writes per commit"
        rows.append({"group": "submitting", "name": f"submissions, {clients} client{'s' if clients > 1 else ''}",
                     "clients": clients, **row, "required": {"per_second": required},
                     "met": per_second >= required and good and row["failures"] == 0,
                     "syncs_per_second": syncs_per_second, "writes_per_commit": statistics.mean(group),
                     "acknowledged_are_stored": good, "note": ", ".join(filter(None, (note, note_of(windows)))),
                     "windows": windows})
    return rows


# -- event streams


def stream(session, clients=STREAMS, records=STREAM_RECORDS):
    """Every client gets the record of every experiment submitted meanwhile, and others are answered as ever."""
    server = session.server
    process = subprocess.Popen([sys.executable, os.path.join(HERE, "streams.py"), str(server.port), str(clients)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline().strip() != "ready":
            raise Failure(f"{clients} event streams could not be opened: " + server.logged()[-500:])
        told = {}
        drawn = random.Random(2)
        paths = [f"{BASE}/experiments/{drawn.randrange(2, session.made['experiments'])}" for _ in range(200)]

        def work():
            spec = submission()
            for _ in range(records):
                session.seed += 1
                told[server.ask("/experiments", json.loads(spec.replace("@SEED@", str(session.seed))))["id"]] = \
                    time.monotonic()
                time.sleep(session.seconds / records)
            return session.load.get(paths, session.readers, session.seconds)
        result, window = session.under_load(work)
        heard, _ = process.communicate("", timeout=60)
        heard = json.loads(heard)
    finally:
        process.kill()
        process.wait()
    missing = sum(clients - heard["records"].get(str(number), {"clients": 0})["clients"] for number in told)
    delays = sorted(heard["records"][str(number)]["last"] - at for number, at in told.items()
                    if str(number) in heard["records"])
    fewest = min(sum(counts.values()) for counts in heard["counts"])
    row = merge([result], [window])
    return [{"group": "event streams", "name": f"{clients} event streams, each told of {records} submissions",
             "clients": clients, "missing": missing, "closed": heard["closed"], "fewest_events": fewest,
             "last_client_ms": 1e3 * statistics.median(delays) if delays else None, "required": {"missing": 0},
             "met": missing == 0 and heard["closed"] == 0,
             "note": f"each got {fewest} events or more; the last of them {1e3 * max(delays, default=0):.0f} ms after the "
                     f"answer at most"},
            {"group": "event streams", "name": "one experiment meanwhile", "clients": session.readers, **row,
             "required": {"p99_ms": 10}, "met": row["p99_ms"] < 10 and row["failures"] == 0,
             "note": note_of([window]), "windows": [window]}]


# -- what comes out of all of them


def training(session):
    """Iterations under load against those in the quiet windows before and after."""
    expected, got, slowest = 0.0, 0.0, 0.0
    for number, loaded in enumerate(session.loaded):
        rate = (session.quiet[number]["iterations_per_second"] + session.quiet[number + 1]["iterations_per_second"]) / 2
        expected += rate * loaded["seconds"]
        got += loaded["iterations"]
        if rate > 0:
            slowest = max(slowest, 1 - loaded["iterations_per_second"] / rate)
    taken = statistics.mean(window["worker_core_taken"] for window in session.quiet + session.loaded)
    alone = lambda windows: (sum(window["iterations"] for window in windows) /
                             sum(window["iterations"] / max(window["iterations_per_processor_second"], 1e-9)
                                 for window in windows if window["iterations"]))
    slowed = 1 - got / expected if expected else float("nan")
    by_processor = 1 - alone(session.loaded) / alone(session.quiet) if got and expected else float("nan")
    notes = [f"{100 * by_processor:.1f} % by processor time; worst window {100 * slowest:.0f} %"]
    if taken > TAKEN:
        notes.append(f"others took {100 * taken:.0f} % of the worker's core: not a figure to rely on")
    if self_shares_core(session):
        notes.append("there is only one core: not measured")
    return {"group": "training", "name": "training slowed by the load", "slowed": slowed,
            "slowed_by_processor_time": by_processor, "slowest_window": slowest,
            "iterations_per_second": statistics.median(window["iterations_per_second"] for window in session.quiet),
            "required": {"slowed": 0.05}, "met": None if self_shares_core(session) else slowed < 0.05,
            "note": ", ".join(notes)}


def self_shares_core(session):
    return len(set(session.cores)) == 1


def answers(session):
    """No answer of the server's own making: neither 5xx nor a database that was busy."""
    bad = {name: value for name, value in session.server.numbers().items()
           if name.startswith("gradreg_http_requests_total") and re.search(r'status="5\d\d"', name)}
    logged = [line for line in session.server.logged().splitlines() if line.strip()]
    return {"group": "faults", "name": "answers of 5xx, warnings in the log", "count": sum(bad.values()) + len(logged),
            "answers": sum(value for name, value in session.server.numbers().items()
                           if name.startswith("gradreg_http_requests_total")),
            "which": bad, "logged": logged[:5], "required": {"count": 0}, "met": not bad and not logged,
            "note": "; ".join([f"{name} {value:.0f}" for name, value in bad.items()] + logged[:2])[:300]}


def memory(before, rounds):
    """Resident, after each round of readings; the first may fill caches."""
    grown = rounds[-1] - rounds[0]
    return {"group": "memory", "name": "memory, and its growth by further rounds", "resident_bytes": rounds[-1],
            "grown_bytes": grown, "before_bytes": before, "required": {"grown_bytes": 8 * MIB},
            "met": None if len(rounds) < 2 else grown < 8 * MIB,
            "note": f"{before / MIB:.0f} MiB before the load"}
