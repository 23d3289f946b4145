"""What the server adds: the same spec through `gradreg run` and through a server with one worker, in turns, each
wholly on one core. Both are timed from the first iteration's beginning to the last metric row's end."""
import datetime
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
import urllib.request

from programs import Failure, environment, pinned

STOP_SECONDS, ANSWER_SECONDS, POLL_SECONDS = 20, 10, 1


def run_seconds(gradreg, document, data_directory, core):
    """From the line before the first iteration to the one after the last."""
    process = subprocess.Popen([gradreg, "run", "-", "--data-dir", data_directory], env=environment(),
                               preexec_fn=pinned(core), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    process.stdin.write(json.dumps(document))
    process.stdin.close()
    began = ended = None
    for line in process.stdout:
        if began is None:
            began = time.perf_counter()
        if re.match(r"\d+ iterations in ", line):
            ended = time.perf_counter()
    message = process.stderr.read().strip()
    if process.wait() != 0 or ended is None:
        raise Failure(message or "gradreg run failed")
    return ended - began


class Server:
    def __init__(self, gradreg, data_directory, core):
        # Its database goes to a folder of its own; the pictures are linked there.
        self.folder = tempfile.TemporaryDirectory(prefix="gradreg-bench-server.")
        os.symlink(os.path.join(data_directory, "datasets"), os.path.join(self.folder.name, "datasets"))
        self.process = subprocess.Popen(
            [gradreg, "serve", "--listen", "127.0.0.1:0", "--workers", "1", "--data-dir", self.folder.name],
            env=environment(), preexec_fn=pinned(core), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = []
        for line in self.process.stdout:
            said.append(line.strip())
            found = re.search(r"http://[\d.]+:\d+", line)
            if found:
                self.base = found.group() + "/api/v1"
                return
        self.close()
        raise Failure("gradreg serve: " + " ".join(said))

    def ask(self, path, body=None):
        request = urllib.request.Request(self.base + path, None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            return json.load(answer)

    def seconds(self, document):
        experiment = self.ask("/experiments", document)
        while experiment["finished_at"] is None:
            time.sleep(POLL_SECONDS)
            experiment = self.ask(f"/experiments/{experiment['id']}")
        if experiment["state"] != "succeeded":
            raise Failure(f"the experiment {experiment['state']}: {experiment.get('error')}")
        began, ended = (datetime.datetime.fromisoformat(experiment[name].replace("Z", "+00:00"))
                        for name in ("started_at", "finished_at"))
        return (ended - began).total_seconds()

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()


def measure(gradreg, document, data_directory, core, rounds):
    """Medians of the seconds of both, and of the server's share beyond the other in each round."""
    run, served = [], []
    server = Server(gradreg, data_directory, core)
    try:
        for _ in range(rounds):
            run.append(run_seconds(gradreg, document, data_directory, core))
            served.append(server.seconds(document))
    finally:
        server.close()
    return {"run_seconds": statistics.median(run), "server_seconds": statistics.median(served),
            "added": statistics.median(s / r - 1 for r, s in zip(run, served)),
            "iterations": document["training"]["iterations"]}
