"""What must hold of a data directory whatever happened to its server."""
import json, os, shutil, sqlite3

from crash_clients import FINAL, ONWARD
from crash_specs import model_digest, read_model

STATES = FINAL | {"queued", "running", "paused"}
TRIED_IN_VAIN = "attempts in a row"  # the reason of an experiment that was killed three times before a checkpoint


class Snapshot:
    """The database of a data directory whose server is gone, read from a copy: reading it changes it."""

    def __init__(self, directory, scratch):
        shutil.rmtree(scratch, ignore_errors=True)
        os.mkdir(scratch)
        for name in ("gradreg.db", "gradreg.db-wal"):
            if os.path.exists(os.path.join(directory, name)):
                shutil.copy(os.path.join(directory, name), scratch)
        self.artifacts = os.path.join(directory, "artifacts")
        self.files = set(os.listdir(self.artifacts)) if os.path.isdir(self.artifacts) else set()
        self.database = sqlite3.connect(os.path.join(scratch, "gradreg.db"))
        self.database.row_factory = sqlite3.Row
        self.integrity = [row[0] for row in self.database.execute("PRAGMA integrity_check")]
        self.foreign = self.database.execute("PRAGMA foreign_key_check").fetchall()
        there = self.database.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'experiments'").fetchone()[0]
        self.rows = {row["id"]: row for row in self.query("SELECT * FROM experiments")} if there else {}
        self.empty = not self.rows  # the schema may still be in the making: its migrations are a transaction each

    def query(self, sql, *arguments):
        return self.database.execute(sql, arguments).fetchall()

    def referenced(self):
        return {row[name] for row in self.rows.values() for name in ("checkpoint_file", "model_file") if row[name]}

    def read(self, file):
        with open(os.path.join(self.artifacts, file), "rb") as stream:
            return stream.read()

    def close(self):
        self.database.close()


class Checks:
    def __init__(self, references, counts, complain, workers):
        self.references, self.counts, self.complain, self.workers = references, counts, complain, workers
        self.verified = set()  # (id, attempt) whose result has been compared
        self.read_checkpoints = set()
        self.recorded = {}  # id -> how long results took: see summary in tools/crash-test

    def all(self, snapshot, clients):
        if snapshot.integrity != ["ok"]:
            self.complain(f"integrity_check: {snapshot.integrity[:5]}")
        if snapshot.foreign:
            self.complain(f"foreign_key_check: {[tuple(row) for row in snapshot.foreign[:5]]}")
        if not snapshot.empty:
            self.states(snapshot)
            self.attempts(snapshot)
            self.bookkeeping(snapshot)
            self.checkpoints(snapshot)
            self.results(snapshot)
        for client in clients:
            self.expectations(snapshot, client)

    # -- no state is impossible
    def states(self, snapshot):
        for row in snapshot.rows.values():
            state, final = row["state"], row["state"] in FINAL
            rules = {
                "a known state": state in STATES,
                "a worker and a lease where it runs, and only there":
                    (state == "running") == (row["worker"] is not None) == (row["lease_expires_at"] > 0),
                "no wish but of a running one": state == "running" or not (row["cancel_requested"] or row["pause_requested"]),
                "at most one wish": not (row["cancel_requested"] and row["pause_requested"]),
                "an end where it has ended, and only there": final == (row["finished_at"] > 0),
                "a reason where it failed, and only there": (state in ("failed", "diverged")) == (row["error"] is not None),
                "a model where it succeeded, and only there": (state == "succeeded") == (row["model_file"] is not None),
                "all iterations where it succeeded": state != "succeeded" or row["iteration"] == row["iterations"],
                "no checkpoint where it succeeded": state != "succeeded" or row["checkpoint_file"] is None,
                "a checkpoint's file and iteration": (row["checkpoint_file"] is None) == (row["checkpoint_iteration"] == 0),
                "no more iterations than there are":
                    0 <= row["checkpoint_iteration"] <= row["iterations"] and 0 <= row["iteration"] <= row["iterations"],
                "no clock of training but of a running one": state == "running" or row["active_at"] is None,
                "only ended ones in the trash": row["trashed_at"] is None or final,
                "failed only of kills": state != "failed" or TRIED_IN_VAIN in row["error"]}
            for rule, holds in rules.items():
                if not holds:
                    self.complain(f"experiment {row['id']} is {state}; broken: {rule}: {dict(row)}")

    # -- nothing runs twice at once: its attempts follow each other, each taken by one worker
    def attempts(self, snapshot):
        attempts, taken = {}, {}
        for row in snapshot.query("SELECT * FROM attempts ORDER BY experiment, attempt"):
            attempts.setdefault(row["experiment"], []).append(row)
        for row in snapshot.query("SELECT experiment, text FROM log WHERE text LIKE 'taken by %' ORDER BY experiment, number"):
            taken.setdefault(row["experiment"], []).append(row["text"])
        busy = []
        for id, row in snapshot.rows.items():
            own = attempts.get(id, [])
            last = own[-1] if own else None
            if [a["attempt"] for a in own] != list(range(1, row["attempt"] + 1)):
                self.complain(f"experiment {id}: its attempts are not 1 to {row['attempt']}")
            if [f"taken by {a['worker']}, attempt {a['attempt']}" for a in own] != taken.get(id, []):
                self.complain(f"experiment {id}: its log and its attempts differ: {taken.get(id)}")
            for before, after in zip(own, own[1:]):
                if before["ended_at"] is None or before["ended_at"] > after["leased_at"]:
                    self.complain(f"experiment {id}: attempt {after['attempt']} began before the one before had ended")
            if last and (last["ended_at"] is None) != (row["state"] == "running"):
                self.complain(f"experiment {id} is {row['state']}, its last attempt {dict(last)}")
            if row["state"] == "running":
                busy.append(row["worker"])
            self.counts["attempts checked against each other"] = sum(map(len, attempts.values()))
        if len(set(busy)) != len(busy) or len(busy) > self.workers:
            self.complain(f"more runs than workers: {busy}")

    # -- what is kept twice is the same
    def bookkeeping(self, snapshot):
        greatest = max((row["revision"] for row in snapshot.rows.values()), default=0)
        if greatest > snapshot.query("SELECT revision FROM counter")[0][0]:
            self.complain("a revision is beyond the counter")
        queued = sum(row["state"] == "queued" for row in snapshot.rows.values())
        if queued != snapshot.query("SELECT coalesce(sum(count), 0) FROM queued_by")[0][0]:
            self.complain(f"{queued} are queued, and the counter of them has another number")
        for key, body in snapshot.query("SELECT key, body FROM idempotency WHERE location LIKE '%/experiments/%'"):
            made = snapshot.rows.get(json.loads(body)["id"])
            if made is not None and json.loads(made["tags"]).get("key") != key:
                self.complain(f"the stored answer to {key} tells of another experiment")

    # -- no checkpoint and no model without its file
    def checkpoints(self, snapshot):
        for row in snapshot.rows.values():
            for file in filter(None, [row["checkpoint_file"], row["model_file"]]):
                if file in self.read_checkpoints:
                    if file not in snapshot.files:
                        self.complain(f"experiment {row['id']}: {file} is gone")
                    continue
                try:
                    read_model(snapshot.read(file))
                    self.read_checkpoints.add(file)
                    self.counts["checkpoints and models whose file was read"] += 1
                except (OSError, ValueError) as error:
                    self.complain(f"experiment {row['id']} ({row['state']}): {file}: {error}")

    # -- a finished run is what an undisturbed one is, bit for bit
    def results(self, snapshot):
        for id, row in snapshot.rows.items():
            if row["state"] != "succeeded" or (id, row["attempt"]) in self.verified:
                continue
            self.verified.add((id, row["attempt"]))
            digest, rows, seconds = self.references.of(row["spec"])
            try:
                same = model_digest(snapshot.read(row["model_file"])) == digest
            except (OSError, ValueError):
                same = False
            if not same:
                self.complain(f"experiment {id}: its model is not that of an undisturbed run")
            got = {(name, at): value for name, at, value in
                   snapshot.query("SELECT name, iteration, value FROM metrics WHERE experiment = ?", id)}
            if got != rows:
                wrong = sorted(key for key in got.keys() | rows.keys() if got.get(key) != rows.get(key))
                self.complain(f"experiment {id}: {len(wrong)} metric rows are not those of an undisturbed run: {wrong[:3]}")
            checkpoints = snapshot.query("SELECT count(*) FROM log WHERE experiment = ? AND text LIKE 'checkpoint at %'", id)[0][0]
            self.recorded[id] = (seconds, row["attempt"], checkpoints, len(rows))

    # -- what was acknowledged holds
    def expectations(self, snapshot, client):
        by_key = {}
        for row in snapshot.rows.values():
            key = json.loads(row["tags"]).get("key")
            if key:
                by_key.setdefault(key, []).append(row)
        for entry in client.entries:
            made = by_key.get(entry.key, [])
            if len(made) > 1:
                self.complain(f"{entry.key} was made {len(made)} times")
            row = made[0] if made else None
            if entry.unsure():
                continue
            place = "gone" if row is None else "trash" if row["trashed_at"] is not None else "live"
            if place not in entry.places:
                self.complain(f"{entry.key} (experiment {entry.id}) is {place}, acknowledged was {entry.places}")
            entry.places = {place}
            if row is None:
                continue
            if row["id"] != entry.id:
                self.complain(f"{entry.key} is experiment {row['id']}, acknowledged was {entry.id}")
            if row["notes"] not in entry.notes or row["priority"] not in entry.priorities:
                self.complain(f"{entry.key} (experiment {entry.id}): notes and priority are {row['notes']!r}, "
                              f"{row['priority']}, acknowledged were {entry.notes}, {entry.priorities}")
            if row["state"] not in entry.states:
                self.complain(f"{entry.key} (experiment {entry.id}) is {row['state']}, acknowledged was {entry.states}")
            if row["state"] == "running" and entry.wish and not row[f"{entry.wish}_requested"]:
                self.complain(f"{entry.key} (experiment {entry.id}): its {entry.wish} was acknowledged and is lost")
            entry.notes, entry.priorities, entry.wish = {row["notes"]}, {row["priority"]}, None
            entry.seen = row["state"]
            entry.states = {"queued": ONWARD, "paused": {"paused"},
                            "running": {"cancelled"} if row["cancel_requested"] else
                                       {"paused"} if row["pause_requested"] else ONWARD}.get(row["state"], {row["state"]})
            if row["state"] == "succeeded":
                entry.verified = True
        self.sweeps(snapshot, client)

    def sweeps(self, snapshot, client):
        if snapshot.empty:
            return
        of = {}
        for row in snapshot.rows.values():
            if row["sweep"] is not None:
                of.setdefault(row["sweep"], []).append(row)
        named = {}
        for row in snapshot.query("SELECT id, name FROM sweeps"):
            named.setdefault(row["name"], []).append(row["id"])
        for sweep in client.sweeps:
            ids = named.get(sweep.name, [])
            if len(ids) > 1 or sweep.id and ids != [sweep.id]:
                self.complain(f"{sweep.name}: acknowledged was {sweep.id}, found {ids}")
            for id in ids:
                if len(of.get(id, [])) != sweep.experiments:
                    self.complain(f"{sweep.name} has {len(of.get(id, []))} experiments of {sweep.experiments}")
                lost = [row["id"] for row in of.get(id, []) if sweep.cancelled and row["state"] not in FINAL
                        and not row["cancel_requested"]]
                if lost:
                    self.complain(f"{sweep.name}: its cancellation was acknowledged, and {lost} go on")
