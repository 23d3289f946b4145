"""The clients of the crash test: what each of them asked for, was told, and may therefore expect."""
import http.client, json, threading, time

FINAL = {"succeeded", "failed", "diverged", "cancelled"}
ONWARD = {"queued", "running", "succeeded", "failed"}  # what becomes of a queued one by itself (nothing here diverges)
UNFINISHED_AT_ONCE = 6  # of one client
KEPT_AT_ONCE = 50  # of one client: it purges beyond that


class Broken(Exception):
    """No whole answer came: whether the request was carried out is not known."""


class Connection:
    def __init__(self, port):
        self.port, self.http = port, None

    def ask(self, method, path, body=None, key=None):
        """(status, headers, text); Broken"""
        headers = {"Idempotency-Key": key} if key else {}
        data = None if body is None else json.dumps(body)
        try:
            if self.http is None:
                self.http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            self.http.request(method, "/api/v1" + path, data, headers)
            answer = self.http.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Broken(repr(error)) from None

    def close(self):
        if self.http:
            self.http.close()
        self.http = None


class Entry:
    """An experiment that a client submitted, and what it may be found as."""

    def __init__(self, key, body, long):
        self.key, self.body, self.long = key, body, long
        self.id = self.answer = None  # as acknowledged
        self.states, self.places = set(ONWARD), {"live"}  # places: live, trash, gone
        self.notes, self.priorities = {""}, {0}
        self.seen = "queued"  # for choosing what to do next
        self.verified = False  # its result has been compared
        self.wish = None  # what was acknowledged while it ran: running is right only with that wish

    def unsure(self):
        return self.id is None


class Sweep:
    def __init__(self, key, body, experiments):
        self.key, self.name, self.body, self.experiments = key, body["name"], body, experiments
        self.id = self.answer = None
        self.cancelled = False

    def unsure(self):
        return self.id is None


class Client:
    """Works on experiments of its own alone, so that it knows what to expect."""

    def __init__(self, name, random, specs, counts, complain):
        self.name, self.random, self.counts, self.complain = name, random, counts, complain
        self.long, self.short = specs
        self.entries, self.sweeps = [], []
        self.serial = 0
        self.in_flight = None  # what it waits for an answer to

    # -- one life of the server
    def begin(self, port):
        self.thread = threading.Thread(target=self._work, args=(port,), daemon=True)
        self.ends = False
        self.thread.start()

    def end(self):
        self.ends = True
        self.thread.join(90)
        if self.thread.is_alive():
            self.complain(f"client {self.name}: a request has no end")

    def finish(self, port):
        """What was never answered is asked for again, and what fails of kills is retried, in a life without a kill."""
        self.connection = Connection(port)
        self._retry_unsure()
        for entry in self.entries:
            if entry.places == {"live"} and entry.seen in ("paused", "failed"):
                self._control(entry, "resume" if entry.seen == "paused" else "retry")
        self.connection.close()

    def _work(self, port):
        self.connection = Connection(port)
        try:
            self._retry_unsure()
            while not self.ends:
                self._act()
                time.sleep(self.random.uniform(0.001, 0.03))
        except Broken:
            pass
        except Exception as error:  # a client that dies unseen would make the test weaker
            self.complain(f"client {self.name}: {error!r}")
        self.connection.close()

    def _ask(self, what, *arguments, **more):
        self.in_flight = what
        try:
            status, headers, text = self.connection.ask(*arguments, **more)
        except Broken:
            self.counts[f"{what}, no answer"] += 1
            raise
        self.in_flight = None
        if status >= 500:
            self.complain(f"{what} was answered {status}: {text[:300]}")
        if status < 300:
            self.counts[f"{what}, acknowledged"] += 1
        return status, headers, text

    # -- submissions
    def _retry_unsure(self):
        for each, what, path in [(e, "retried", "/experiments") for e in self.entries] + \
                [(s, "retried sweep", "/sweeps") for s in self.sweeps]:
            if each.unsure():
                self._submit(each, what, path)

    def _submit(self, entry, what="submission", path="/experiments"):
        status, headers, text = self._ask(what, "POST", path, entry.body, key=entry.key)
        if status != 201:
            self.complain(f"{what} {entry.key} was answered {status}: {text[:300]}")
            return
        if entry.answer is not None and text != entry.answer:
            self.complain(f"{what} {entry.key}: another answer than the first time")
        if what.startswith("retried"):
            self.counts[f"{what}: was there" if headers["Idempotency-Replayed"] else f"{what}: made now"] += 1
        entry.id, entry.answer = json.loads(text)["id"], text

    def _new(self):
        self.serial += 1
        key = f"{self.name}-{self.serial}"
        long = self.random.random() < 0.45
        body = dict(self.random.choice(self.long if long else self.short))
        entry = Entry(key, body | {"name": f"crash {key}", "tags": {"key": key}}, long)
        self.entries.append(entry)
        self._submit(entry)

    def _again(self):
        entry = self.random.choice(self.entries)
        if not entry.unsure():
            self._submit(entry, "repeated")

    def _sweep(self):
        self.serial += 1
        base = {name: value for name, value in self.random.choice(self.short).items() if name != "seed"}
        key = f"{self.name}-{self.serial}"
        body = {"name": f"sweep {key}", "base": base, "repeats": 2,
                "axes": [{"name": "weight", "pointer": "/regularizers/0/weight", "values": [0.1, 0.2]}]}
        sweep = Sweep(key, body, 4)
        self.sweeps.append(sweep)
        self._submit(sweep, "sweep", "/sweeps")

    # -- the rest of an experiment's life
    def _act(self):
        active = sum(e.places == {"live"} and e.seen not in FINAL | {"paused"} for e in self.entries)
        open_sweeps = [s for s in self.sweeps if s.id and not s.cancelled]
        dice = self.random.random()
        if active < UNFINISHED_AT_ONCE and dice < 0.3 or not self.entries:
            self._new()
        elif 0.3 <= dice < 0.34:
            self._again()
        elif 0.34 <= dice < 0.35:
            self._sweep()
        elif 0.35 <= dice < 0.355 and open_sweeps:
            sweep = self.random.choice(open_sweeps)
            status, _, _ = self._ask("sweep cancel", "POST", f"/sweeps/{sweep.id}/cancel")
            sweep.cancelled = status == 200
        elif 0.355 <= dice < 0.37:
            self._workers()
        else:
            self._change()

    def _workers(self):
        _, _, text = self._ask("look at workers", "GET", "/workers")
        busy = [w["experiment"] for w in json.loads(text)["workers"] if w["experiment"]]
        if len(set(busy)) != len(busy):
            self.complain(f"two workers train the same: {text}")
        self.counts["looks at both workers busy"] += len(busy) > 1

    def _change(self):
        known = [e for e in self.entries if not e.unsure() and "gone" not in e.places]
        if not known:
            return
        entry = self.random.choice(known)
        if entry.places == {"live"}:
            status, _, text = self._ask("look", "GET", f"/experiments/{entry.id}")
            if status != 200:
                self.complain(f"experiment {entry.id} ({entry.key}), acknowledged, was answered {status}")
                return
            entry.seen = json.loads(text)["state"]
        many = len(known) > KEPT_AT_ONCE
        if "trash" in entry.places:
            self._move(entry, "purge" if many or self.random.random() < 0.3 else "undelete")
        elif entry.seen in FINAL and (entry.verified or entry.seen != "succeeded") and \
                self.random.random() < (0.6 if many else 0.1):
            self._move(entry, "delete")
        elif self.random.random() < 0.25:
            self._edit(entry)
        elif entry.seen == "paused":
            self._control(entry, self.random.choice(["resume"] * 5 + ["cancel", "pause"]))
        elif entry.seen in ("failed", "cancelled"):
            self._control(entry, "retry" if entry.seen == "failed" or self.random.random() < 0.1 else "cancel")
        elif entry.seen != "succeeded" or self.random.random() < 0.1:
            # Long ones are to come to their end, most of them.
            chance = 0.05 if entry.long else 0.2
            if self.random.random() < chance or entry.seen == "succeeded":
                self._control(entry, self.random.choice(["cancel", "pause", "pause", "resume"]))

    def _edit(self, entry):
        self.serial += 1
        notes, priority = f"note {self.serial} of {self.name}", self.random.randint(-5, 5)
        before = entry.notes, entry.priorities
        entry.notes, entry.priorities = entry.notes | {notes}, entry.priorities | {priority}
        status, _, text = self._ask("edit", "PATCH", f"/experiments/{entry.id}", {"notes": notes, "priority": priority})
        if status == 200:
            entry.notes, entry.priorities = {notes}, {priority}
        else:
            entry.notes, entry.priorities = before
            self.complain(f"PATCH of {entry.id} was answered {status}: {text[:300]}")

    def _control(self, entry, action):
        before, wish = entry.states, entry.wish
        entry.states, entry.wish = before | {"cancel": {"cancelled"}, "pause": {"paused"}}.get(action, ONWARD), None
        status, _, text = self._ask(action, "POST", f"/experiments/{entry.id}/{action}")
        if status == 409:
            entry.states, entry.wish = before, wish
            self.counts["actions that did not fit"] += 1
        elif status != 200:
            self.complain(f"{action} of {entry.id} was answered {status}: {text[:300]}")
        else:
            entry.seen = json.loads(text)["state"]
            aim = {"cancel": "cancelled", "pause": "paused"}.get(action)
            # Where it runs, the wish waits for its worker, and it may end before it is heard.
            entry.wish = action if aim and entry.seen == "running" else None
            entry.states = {aim} if entry.seen == aim else {aim} | ONWARD - {"queued"} if aim else set(ONWARD)

    def _move(self, entry, action):
        place = {"delete": "trash", "undelete": "live", "purge": "gone"}[action]
        before, entry.places = entry.places, entry.places | {place}
        path = f"/experiments/{entry.id}"
        status, _, text = self._ask(action, *(("DELETE", path) if action == "delete" else ("POST", f"{path}/{action}")))
        if status in (200, 204):
            entry.places = {place}
        elif status in (404, 409) and len(before) > 1:  # it is not known where it was
            entry.places = before
        else:
            self.complain(f"{action} of {entry.id} was answered {status}: {text[:300]}")
