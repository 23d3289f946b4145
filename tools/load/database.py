"""A database as it is after months: ended experiments with their metrics. The program itself makes what depends on it (the
schema, canonical specs, a sweep with its arms); SQL makes many of them, and what training would have written."""
import json
import os
import sqlite3
import time

from server import Server

LONG_POINTS, SWEEP_SEEDS = 2000, 10
NAMES = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "gradient_norm", "penalty.0")
NEVER = 10**9
BLOCKER = {"name": "in training", "dataset": {"name": "moons"}, "model": {"preset": "mlp", "widths": [64, 64]},
           "regularizers": [{"type": "datagrad", "weight": 0.1}],
           "training": {"iterations": NEVER, "batch_size": 50, "evaluate_every": 20000, "checkpoint_every": NEVER}}

# What is trained meanwhile: a net that is at home in the processor's caches, as most here.
TRAINED = BLOCKER | {"dataset": {"name": "digits", "train_size": 2000, "validation_size": 500},
                     "model": {"preset": "lenet"}, "training": BLOCKER["training"] | {"evaluate_every": 500}}


def regularizers():
    return [[], [{"type": "datagrad", "weight": 5}], [{"type": "spectreg", "weight": 0.03}],
            [{"type": "weight_decay", "weight": 0.0005}], [{"type": "jacreg", "weight": 0.1}],
            [{"type": "datagrad", "weight": 20}, {"type": "weight_decay", "weight": 0.001}]]


def specs():
    """Of several kinds, about what people submit."""
    length = {"iterations": 10000, "batch_size": 50, "evaluate_every": 125}
    made = []
    for data, classes in (("moons", 2), ("spirals", 3), ("gaussians", 3)):
        for model in ({"preset": "mlp", "widths": [32]}, {"preset": "mlp", "widths": [64, 64]},
                      {"layers": [{"type": "linear", "units": 48}, {"type": "softplus"}, {"type": "dropout", "rate": 0.2},
                                  {"type": "linear", "units": 24}, {"type": "tanh"},
                                  {"type": "linear", "units": classes}]}):
            for number, penalty in enumerate(regularizers()):
                made.append({"name": f"{data}, {model.get('preset', 'own layers')}, penalty {number}",
                             "tags": {"paper": "1712.09936", "data": data, "who": ("anna", "ben", "carla")[number % 3]},
                             "dataset": {"name": data, "n": 2000}, "model": model, "regularizers": penalty,
                             "optimizer": {"type": ("adam", "sgd")[number % 2], "learning_rate": 0.001 * (1 + number)},
                             "training": length})
    return made


def sweep():
    """60 arms in 6 columns and 10 rows, 10 seeds each."""
    return {"name": "Penalties by learning rate",
            "base": {"dataset": {"name": "moons", "n": 2000}, "model": {"preset": "mlp", "widths": [64, 64]},
                     "optimizer": {"type": "adam", "learning_rate": 0.001},
                     "training": {"iterations": 10000, "batch_size": 50, "evaluate_every": 125}},
            "axes": [{"name": "penalty", "pointer": "/regularizers",
                      "values": [{"label": f"penalty {i}", "value": one} for i, one in enumerate(regularizers())]},
                     {"pointer": "/optimizer/learning_rate", "values": [0.0001 * 2**i for i in range(10)]}],
            "repeats": SWEEP_SEEDS, "baseline": {"penalty": "penalty 0"}}


def seed_database(gradreg, folder):
    """By the program: one experiment of each kind, and the sweep. Nothing of it is trained."""
    server = Server(gradreg, folder)
    try:
        server.ask("/experiments", BLOCKER)
        server.wait(lambda: server.ask("/experiments/1")["state"] == "running")
        for spec in specs():
            server.ask("/experiments", spec)
        made = server.ask("/sweeps", sweep())
    finally:
        server.stop()
    return made["id"], made["arms"]


# A number in [0, 1) that follows from whole numbers.
DRAW = "((({0}) * 2654435761 + ({1}) * 40503 + ({2}) * 69069) % 1000003) / 1000003.0"
# What a metric is at step s of n: losses and norms fall, accuracies rise, each at its experiment's pace.
VALUE = (f"CASE WHEN m.name LIKE '%accuracy' THEN 0.98 - 0.4 * m.pace / (1 + 9.0 * s.i / e.steps) - 0.02 * m.draw "
         f"ELSE 0.01 + 2 * m.pace / (1 + 40.0 * s.i / e.steps) + 0.01 * m.draw END").replace(
             "m.pace", DRAW.format("e.id", "1", "2")).replace("m.draw", DRAW.format("e.id", "s.i", "m.number"))


class Maker:
    def __init__(self, path):
        self.db = sqlite3.connect(path, isolation_level=None)
        self.run = self.db.execute
        self.run("PRAGMA foreign_keys = ON")
        self.run("PRAGMA synchronous = OFF")
        self.run("PRAGMA cache_size = -262144")

    def columns(self, table):
        return [row[1] for row in self.run(f"PRAGMA table_info({table})")]

    def multiply(self, experiments):
        """Copies of those of no sweep, with seeds, names and times of their own, up to so many experiments."""
        there = self.run("SELECT count(*), max(id) FROM experiments").fetchone()
        own = {"id": "NULL", "revision": f"{10 * there[1]} + n.i", "seed": "NULL",
               "spec": "json_set(e.spec, '$.seed', n.i)", "result_key": "printf('%064x', n.i)",
               "name": "e.name || ', seed ' || n.i",
               "tags": "json_set(e.tags, '$.run', printf('%d', n.i / 100))"}
        names = self.columns("experiments")
        self.run("CREATE TEMP TABLE kinds AS SELECT row_number() OVER (ORDER BY id) - 1 AS place, id FROM experiments "
                 "WHERE sweep IS NULL AND id > 1")
        kinds = self.run("SELECT count(*) FROM kinds").fetchone()[0]
        self.run(f"INSERT INTO experiments ({', '.join(names)}) "
                 f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) "
                 f"SELECT {', '.join(own.get(name, 'e.' + name) for name in names)} FROM n "
                 f"JOIN kinds ON kinds.place = (n.i * 7) % ?2 JOIN experiments AS e ON e.id = kinds.id",
                 (experiments - there[0], kinds))
        self.run("UPDATE counter SET revision = 100 + (SELECT max(revision) FROM experiments)")

    def metrics(self, rows, long_points):
        """Every experiment has the same number of rows, but for a few that were looked at often."""
        count = self.run("SELECT count(*) FROM experiments").fetchone()[0]
        long_count = 3
        each = -(-(rows - long_count * long_points * len(NAMES)) // ((count - long_count) * len(NAMES)))
        self.run("CREATE TEMP TABLE shapes (id INTEGER PRIMARY KEY, steps INTEGER)")
        self.run("INSERT INTO shapes SELECT id, ?1 FROM experiments", (max(each, 2),))
        # One of ten times as many points, so that there is something to leave out.
        for number, points in enumerate((long_points, 10 * long_points, long_points)):
            self.run("UPDATE shapes SET steps = ?2 WHERE id = (SELECT id FROM experiments WHERE sweep IS NULL "
                     "AND id > 1 ORDER BY id DESC LIMIT 1 OFFSET ?1)", (100 * number, points))
        self.run("CREATE TEMP TABLE names (number INTEGER PRIMARY KEY, name TEXT)")
        self.db.executemany("INSERT INTO names VALUES (?, ?)", enumerate(NAMES))
        self.run("CREATE TEMP TABLE steps (i INTEGER PRIMARY KEY)")
        self.run("INSERT INTO steps WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < "
                 "(SELECT max(steps) FROM shapes)) SELECT i FROM s")
        self.run(f"INSERT INTO metrics SELECT e.id, m.name, 125 * s.i, {VALUE} FROM shapes AS e "
                 f"CROSS JOIN (SELECT * FROM names ORDER BY name) AS m CROSS JOIN steps AS s WHERE s.i <= e.steps")
        self.run(f"INSERT INTO metrics SELECT e.id, 'test_accuracy', 125 * e.steps, 0.6 + 0.35 * {DRAW.format('e.id', 1, 2)}"
                 " FROM shapes AS e")

    def finish(self):
        """What the last write of a worker leaves behind; one in twenty did not go well."""
        now = int(time.time() * 1000)
        self.run("CREATE TEMP TABLE final AS SELECT e.id, "
                 "(SELECT json_group_object(name, (SELECT value FROM metrics WHERE experiment = e.id AND name = n.name "
                 " ORDER BY iteration DESC LIMIT 1)) FROM (SELECT name FROM names UNION SELECT 'test_accuracy') AS n) AS latest, "
                 "(SELECT json_group_object(name, CASE WHEN name LIKE '%accuracy' THEN "
                 " (SELECT max(value) FROM metrics WHERE experiment = e.id AND name = n.name) ELSE "
                 " (SELECT min(value) FROM metrics WHERE experiment = e.id AND name = n.name) END) FROM (SELECT name FROM names "
                 " WHERE name LIKE '%accuracy' OR name LIKE '%loss' UNION SELECT 'test_accuracy') AS n) AS best "
                 "FROM shapes AS e")
        self.run("CREATE INDEX temp.final_by_id ON final (id)")
        environment = json.dumps({"engine": "1", "kernels": "avx2", "blas_kernel": "Haswell", "blas": "OpenBLAS 0.3.21"})
        self.run("UPDATE experiments SET state = CASE WHEN sweep IS NOT NULL OR id % 20 THEN 'succeeded' "
                 " ELSE CASE id % 3 WHEN 0 THEN 'failed' WHEN 1 THEN 'diverged' ELSE 'cancelled' END END, "
                 "attempt = 1, worker = NULL, active_at = NULL, lease_expires_at = 0, environment = ?2, iteration = iterations, "
                 "latest_metrics = (SELECT latest FROM final WHERE final.id = experiments.id), "
                 "best_metrics = (SELECT best FROM final WHERE final.id = experiments.id), "
                 "model_file = NULL, created_at = ?1 - 600000 * (20000 - id), started_at = ?1 - 600000 * (20000 - id) + 30000, "
                 "finished_at = ?1 - 600000 * (20000 - id) + 90000, elapsed_seconds = 20 + id % 41, "
                 "error = CASE WHEN sweep IS NULL AND id % 20 = 0 THEN 'the loss is not finite at iteration 4711' END",
                 (now, environment))
        self.run("INSERT OR REPLACE INTO attempts (experiment, attempt, worker, leased_at, ended_at, outcome, environment) "
                 "SELECT id, 1, 'worker-1', started_at, finished_at, state, environment FROM experiments")
        self.run("INSERT OR REPLACE INTO log SELECT id, number, created_at + 1000 * number, 'info', text FROM experiments, "
                 "(SELECT 1 AS number, 'submitted' AS text UNION SELECT 2, 'training begins' UNION SELECT 3, 'succeeded')")

        # What lists are filtered by follows from the rows: the program makes it when it opens the database.
        if self.run("SELECT 1 FROM sqlite_schema WHERE name = 'facts'").fetchone():
            self.run("DELETE FROM facts")

    def counts(self):
        return (self.run("SELECT count(*) FROM experiments WHERE state IN "
                         "('succeeded', 'failed', 'diverged', 'cancelled')").fetchone()[0],
                self.run("SELECT count(*) FROM metrics").fetchone()[0])


def make(gradreg, folder, experiments, rows, long_points=LONG_POINTS):
    """Fills an empty data directory; says what there is in it."""
    began = time.monotonic()
    sweep_id, arms = seed_database(gradreg, folder)
    path = os.path.join(folder, "gradreg.db")
    maker = Maker(path)
    maker.run("BEGIN")
    maker.multiply(experiments)
    maker.metrics(rows, long_points)
    maker.finish()
    ended, stored = maker.counts()
    longest = [row[0] for row in maker.run("SELECT id FROM shapes ORDER BY steps DESC, id LIMIT 3")]
    maker.run("COMMIT")
    maker.run("PRAGMA wal_checkpoint(TRUNCATE)")
    maker.db.close()
    Server(gradreg, folder).stop()
    return {"experiments": ended, "metric_rows": stored, "sweep": sweep_id, "arms": arms, "seeds": SWEEP_SEEDS,
            "longest": longest[0], "long": longest[1], "long_points": long_points, "bytes": os.path.getsize(path),
            "seconds": time.monotonic() - began}
