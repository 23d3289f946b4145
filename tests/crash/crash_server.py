"""The server that is killed."""
import json, os, re, select, signal, subprocess, time

from crash_clients import FINAL, Broken, Connection

START_SECONDS = 60


class Server:
    def __init__(self, program, folder, data, workers):
        self.data, self.log = data, os.path.join(folder, "log")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("GRADREG_")}
        self.environment["OPENBLAS_NUM_THREADS"] = "1"
        self.preloaded = {}
        self.command = [program, "serve", "--listen", "127.0.0.1:0", "--data-dir", data, "--workers", str(workers),
                        "--log-level", "warning"]
        self.process = None

    def forget(self, library, root, writes, skipped):
        """What it writes from now on is recorded by power_loss.c."""
        if not os.path.exists(library):
            raise SystemExit(f"{library} is missing: build the target power_loss")
        self.preloaded = {"LD_PRELOAD": library, "POWER_LOSS_ROOT": root, "POWER_LOSS_LOG": writes,
                          "POWER_LOSS_MICROSECONDS": "2000", "POWER_LOSS_SKIP": skipped}

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=log,
                                            env=self.environment | self.preloaded)

    def wait(self):
        """Its port once it listens; 0 where it does not."""
        text, deadline = b"", time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not select.select([self.process.stdout], [], [], 1)[0]:
                continue
            part = os.read(self.process.stdout.fileno(), 4096)
            text += part
            match = re.search(rb"listening on http://127\.0\.0\.1:(\d+)/", text)
            if match:
                return int(match.group(1))
            if not part:
                break
        return 0

    def _end(self):
        status = self.process.wait()
        self.process.stdout.close()
        self.process = None
        return status

    def kill(self):
        """Whether it was the kill that ended it."""
        if self.process is None:
            return False
        self.process.kill()
        return self._end() == -signal.SIGKILL

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
        return self._end()

    def last_words(self):
        with open(self.log, "rb") as log:
            return log.read()[-600:].decode(errors="replace")

    def second(self):
        """What another server says that is to work on the same folder."""
        return subprocess.run(self.command, env=self.environment, capture_output=True, timeout=60, text=True).stderr

    def _pages(self, port, query):
        connection, cursor = Connection(port), ""
        while cursor is not None:
            status, _, text = connection.ask("GET", f"/experiments?limit=500&{query}{cursor}")
            if status != 200:
                raise Broken(f"a list was answered {status}: {text[:300]}")
            page = json.loads(text)
            yield from page["experiments"]
            cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
        connection.close()

    def listed(self, port, clients):
        """How a user's view of it differs from what is expected."""
        found = {place: {e["id"]: e for e in self._pages(port, f"trashed={trashed}&fields=id,state,notes,priority")}
                 for place, trashed in (("live", "false"), ("trash", "true"))}
        for client in clients:
            for entry in client.entries:
                if entry.unsure():
                    continue
                places = [place for place in found if entry.id in found[place]] or ["gone"]
                if len(places) > 1 or places[0] not in entry.places:
                    yield f"{entry.key} (experiment {entry.id}) is listed in {places}, expected was {entry.places}"
                elif places[0] != "gone":
                    seen = found[places[0]][entry.id]
                    if seen["state"] not in entry.states or seen["notes"] not in entry.notes or \
                            seen["priority"] not in entry.priorities:
                        yield f"{entry.key}: listed is {seen}, expected were {entry.states}, {entry.notes}, {entry.priorities}"

    def unfinished(self, port):
        """{id: iteration}"""
        return {e["id"]: e["progress"]["iteration"] for e in self._pages(port, "fields=id,state,progress&trashed=false")
                if e["state"] not in FINAL | {"paused"}}
