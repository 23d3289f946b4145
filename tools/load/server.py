"""A server under load: its process, which core its threads may use, what they and others took of it."""
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

from clients import Failure

START_SECONDS, STOP_SECONDS, ANSWER_SECONDS = 60, 60, 60
BASE = "/api/v1"


class Server:
    def __init__(self, gradreg, data, *options):
        self.log = open(os.path.join(data, "log"), "a+b")
        variables = {k: v for k, v in os.environ.items() if not k.startswith(("GRADREG_", "OPENBLAS_"))}
        self.process = subprocess.Popen(
            [gradreg, "serve", "--listen", "127.0.0.1:0", "--data-dir", data, "--workers", "1", "--log-format", "json",
             "--log-level", "warning", *options],
            env=variables | {"OPENBLAS_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.port = None
        for line in self.process.stdout:
            found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
            if found:
                self.port = int(found.group(1))
                break
        if self.port is None:
            self.process.wait()
            raise Failure("gradreg serve did not start: " + self.logged()[-2000:])
        self.url = f"http://127.0.0.1:{self.port}"
        # The pipe must not fill.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def logged(self):
        """What it has logged: warnings and errors."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    # -- requests

    def open(self, path, body=None, method=None):
        """(status, text) whatever the status is."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"} if data else {},
                                         method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")

    def ask(self, path, body=None):
        status, text = self.open(BASE + path, body)
        if status >= 400:
            raise Failure(f"{path}: {status} {text[:500]}")
        return json.loads(text)

    def numbers(self):
        """/metrics: {name with labels: value}"""
        status, text = self.open("/metrics")
        if status != 200:
            raise Failure(f"/metrics: {status} {text[:500]}")
        return {name: float(value) for name, value in re.findall(r"^([^#\s].*) (\S+)$", text, re.MULTILINE)}

    def iterations(self):
        return self.numbers()["gradreg_training_iterations_total"]

    # -- threads

    def threads(self):
        """{thread id: name}"""
        found = {}
        folder = f"/proc/{self.process.pid}/task"
        for entry in os.listdir(folder):
            try:
                with open(f"{folder}/{entry}/comm", encoding="utf-8") as file:
                    found[int(entry)] = file.read().strip()
            except OSError:
                pass  # it has ended
        return found

    def workers(self):
        return [thread for thread, name in self.threads().items() if name.startswith("worker-")]

    def pin(self, core, worker_core):
        """The threads that train to one core, all others to another."""
        workers = self.workers()
        if not workers:
            raise Failure("the server has no threads named worker-N")
        for thread in self.threads():
            os.sched_setaffinity(thread, {worker_core if thread in workers else core})

    def times(self):
        """(seconds of the worker, that it waited for its core; seconds of the other threads)"""
        trained = waited = others = 0.0
        workers = self.workers()
        for thread in self.threads():
            try:
                with open(f"/proc/{self.process.pid}/task/{thread}/schedstat", encoding="utf-8") as file:
                    ran, queued, _ = (int(word) / 1e9 for word in file.read().split())
            except OSError:
                continue
            if thread in workers:
                trained, waited = trained + ran, waited + queued
            else:
                others += ran
        return trained, waited, others

    def memory(self):
        """Resident bytes of its own: what is mapped of files is the system's cache."""
        with open(f"/proc/{self.process.pid}/statm", encoding="utf-8") as file:
            _, resident, of_files = map(int, file.read().split()[:3])
            return (resident - of_files) * os.sysconf("SC_PAGE_SIZE")

    def wait(self, condition, seconds=START_SECONDS):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise Failure("the server did not come to the state that was waited for")
            time.sleep(0.05)


def core_seconds(core):
    """That a core has worked for anybody, since the start of the machine."""
    with open("/proc/stat", encoding="utf-8") as file:
        for line in file:
            if line.startswith(f"cpu{core} "):
                user, nice, system, _, _, irq, softirq, steal = map(int, line.split()[1:9])
                return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return float("nan")
