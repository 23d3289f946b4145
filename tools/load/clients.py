"""Who asks: wrk, or plain Python threads where answers are to be looked at one by one."""
import http.client
import json
import os
import shutil
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
JSON = {"Content-Type": "application/json"}


class Failure(Exception):
    pass


def has_wrk():
    return shutil.which("wrk") is not None


class Wrk:
    """One process with one thread; the load of a closed loop: each client asks again when it has its answer."""

    def __init__(self, url, folder):
        self.url, self.folder, self.count = url, folder, 0

    def file(self, text):
        self.count += 1
        path = os.path.join(self.folder, f"wrk-{self.count}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def run(self, clients, seconds, arguments):
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "20s", "-s",
                   os.path.join(HERE, "requests.lua"), self.url, "--", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
        lines = done.stderr.strip().splitlines()
        if done.returncode != 0 or not lines or not lines[-1].startswith("{"):
            raise Failure(f"wrk failed: {done.stderr}{done.stdout}")
        return json.loads(lines[-1])

    def get(self, paths, clients, seconds):
        return self.run(clients, seconds, [self.file("\n".join(paths) + "\n")])

    def post(self, path, body, seed, clients, seconds):
        return self.run(clients, seconds, [path, self.file(body), str(seed)])


def quantile(ordered, share):
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


class Python:
    """The same by threads of this process: slow, but it knows every answer."""

    def __init__(self, host, port):
        self.host, self.port = host, port
        self.bodies = []  # of the answers to the last posts

    def run(self, clients, seconds, next_request):
        lock, times, refused, broken, bodies = threading.Lock(), [], [0], [0], []
        end = time.monotonic() + seconds

        def ask():
            connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
            while time.monotonic() < end:
                method, path, body = next_request()
                began = time.monotonic()
                try:
                    connection.request(method, path, body, JSON if body else {})
                    answer = connection.getresponse()
                    text = answer.read()
                except (OSError, http.client.HTTPException):
                    connection.close()
                    with lock:
                        broken[0] += 1
                    continue
                with lock:
                    times.append(time.monotonic() - began)
                    refused[0] += answer.status >= 400
                    if body:
                        bodies.append((answer.status, text))
            connection.close()
        threads = [threading.Thread(target=ask) for _ in range(clients)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.bodies = bodies
        times.sort()
        return {"answers": len(times), "seconds": time.monotonic() - began, "p50_ms": 1e3 * quantile(times, 0.5),
                "p99_ms": 1e3 * quantile(times, 0.99), "maximum_ms": 1e3 * quantile(times, 1), "refused": refused[0],
                "broken": broken[0], "timeouts": 0}

    def get(self, paths, clients, seconds):
        lock, state = threading.Lock(), [0]

        def following():
            with lock:
                state[0] += 1
                return "GET", paths[state[0] % len(paths)], None
        return self.run(clients, seconds, following)

    def post(self, path, body, seed, clients, seconds):
        lock, state = threading.Lock(), [seed]

        def following():
            with lock:
                state[0] += 1
                return "POST", path, body.replace("@SEED@", str(state[0]))
        return self.run(clients, seconds, following)
