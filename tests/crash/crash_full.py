"""A disk that fills up while a server works on it, and one that is read-only: on a small file system of its own."""
import collections, json, os, shutil, subprocess, sys, tempfile, time

from crash_checks import Checks, Snapshot
from crash_clients import Broken, Connection
from crash_server import Server
from crash_specs import SHORT, References, with_training

MEBIBYTE = 1 << 20


def run(program, say, brief=False):
    """The number of failures. Again in a mount namespace of its own; where that is not allowed, it is skipped."""
    inner = [sys.executable, "-B", os.path.realpath(__file__), program] + (["brief"] if brief else [])
    for rights in ([], ["--map-root-user"]):
        command = ["unshare", "--mount", *rights]
        try:
            allowed = subprocess.run(command + ["mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True).returncode == 0
        except FileNotFoundError:
            allowed = False
        if allowed:
            return subprocess.run(command + inner).returncode
    say("a full disk, a read-only one: skipped, a small file system cannot be mounted here (root can)")
    return 0


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


class Full:
    def __init__(self, program, brief):
        self.folder = tempfile.mkdtemp(prefix="gradreg-full-")
        self.data = os.path.join(self.folder, "data")
        os.mkdir(self.data)
        mount("-t", "tmpfs", "-o", "size=16m", "none", self.data)
        self.server = Server(program, self.folder, self.data, 1)
        self.references = References(program, os.path.join(self.folder, "references"), self.server.environment)
        self.ballast = os.path.join(self.data, "ballast")
        self.checked = self.failed = 0
        # Long enough that the disk is full before it ends.
        seconds = self.references.train(with_training(SHORT[0], 10000, 10))
        self.iterations = int(10000 / seconds * (2 if brief else 6)) // 100 * 100

    def check(self, what, holds, told=""):
        self.checked += 1
        self.failed += not holds
        if not holds:
            print(f"FAILED: {what}: {str(told)[:500]}", flush=True)

    def ask(self, method, path, body=None, key=None):
        try:
            status, headers, text = self.connection.ask(method, path, body, key)
            return status, headers["Content-Type"], json.loads(text) if text.startswith("{") else text
        except Broken as error:
            return 0, "", str(error)

    def start(self):
        self.server.start()
        port = self.server.wait()
        self.check("the server starts", port != 0, self.server.last_words())
        if port == 0:
            sys.exit(1)
        self.connection = Connection(port)

    def fill(self, leave=0):
        """Nothing is left, or so many bytes."""
        with open(self.ballast, "ab", buffering=0) as file:
            for size in (MEBIBYTE, 4096):
                try:
                    while shutil.disk_usage(self.data).free >= leave + size:
                        file.write(bytes(size))
                except OSError:
                    pass

    def refused_for_space(self, what, status, kind, answer):
        self.check(f"{what}: 507", status == 507, (status, answer))
        self.check(f"{what}: a problem that names the cause", kind == "application/problem+json" and
                   "full" in answer["detail"] and answer["status"] == 507, answer)

    def wait(self, what, holds, seconds=120):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if holds():
                return True
            time.sleep(0.05)
        self.check(what, False, "not in time")
        return False

    def one(self, id):
        return self.ask("GET", f"/experiments/{id}")[2]

    # -- the disk fills up by the work itself
    def fills_up(self):
        self.start()
        long = with_training(SHORT[0], self.iterations, 30) | {"name": "runs on"}
        _, _, running = self.ask("POST", "/experiments", long)
        self.wait("it has a checkpoint", lambda: "checkpoint at" in self.ask("GET", f"/experiments/{running['id']}/log")[2])
        self.fill(256 * 1024)
        accepted, big = [], with_training(SHORT[1], 200, 4) 
        tags = {f"t{i}": "x" * 190 for i in range(20)}
        for i in range(20000):
            body = big | {"name": f"submission {i}", "tags": tags | {"key": f"full-{i}"}}
            status, kind, answer = self.ask("POST", "/experiments", body, key=body["tags"]["key"])
            if status != 201:
                break
            accepted.append(answer["id"])
        self.refused_for_space("a submission on a full disk", status, kind, answer)
        self.fill()
        # (What is small may find room in the log that SQLite has already.)
        for what, request in {"a sweep": ("POST", "/sweeps", {"base": {k: v for k, v in big.items() if k != "seed"},
                                                             "axes": [{"pointer": "/training/batch_size", "values": [16, 32]}]}),
                              "an edit": ("PATCH", f"/experiments/{accepted[0]}", {"notes": "x" * 19000}),
                              "a cancellation": ("POST", f"/experiments/{accepted[-1]}/cancel")}.items():
            status, kind, answer = self.ask(*request)
            if status not in (200, 201):
                self.refused_for_space(what, status, kind, answer)
        status, _, answer = self.ask("GET", "/experiments?limit=500&fields=id")
        self.check("reads go on", status == 200 and len(answer["experiments"]) > 0, (status, answer))
        self.check("a series can be read", self.ask("GET", f"/experiments/{running['id']}/metrics")[0] == 200)
        self.check("one that was accepted can be read", self.one(accepted[-1])["id"] == accepted[-1])
        self.check("it is alive", self.ask("GET", "/server")[0] == 200)
        # The training comes to its last iteration, and is neither lost nor failed.
        workers = lambda: self.ask("GET", "/workers")[2]["workers"][0]
        self.wait("the training goes on without a disk", lambda: workers()["iteration"] >= self.iterations)
        time.sleep(0.3)
        now = self.one(running["id"])
        self.check("what runs is running still", now["state"] == "running", now)
        # Space again, and all goes on without a restart.
        os.unlink(self.ballast)
        self.wait("it succeeds once there is space", lambda: self.one(running["id"])["state"] == "succeeded", 30)
        now = self.one(running["id"])
        self.check("in one attempt, with nothing left to warn of", now["attempt"] == 1 and now["warning"] is None, now)
        log = self.ask("GET", f"/experiments/{running['id']}/log")[2]
        self.check("its log says what happened", "full" in str(log), log)
        status, _, answer = self.ask("POST", "/experiments", body, key=body["tags"]["key"])
        self.check("what was refused is accepted now", status == 201, (status, answer))
        self.ask("POST", f"/experiments/{answer['id']}/cancel")
        for id in accepted:
            if self.one(id)["state"] == "queued" and id != accepted[0]:
                self.ask("POST", f"/experiments/{id}/cancel")
        self.wait("the rest ends", lambda: not self.server.unfinished(self.connection.port))
        self.check("it stops as ever", self.server.stop() == 0, self.server.last_words())
        snapshot = self.inspect()
        alone = {id for id, row in snapshot.rows.items() if row["sweep"] is None}
        self.check("every accepted submission is there, and none that was refused",
                   alone == {running["id"], answer["id"], *accepted}, (len(alone), len(accepted)))
        snapshot.close()
        print(f"a full disk: {len(accepted)} submissions until it was full", flush=True)

    def inspect(self):
        complaints = []
        snapshot = Snapshot(self.data, os.path.join(self.folder, "scratch"))
        Checks(self.references, collections.Counter(), complaints.append, 1).all(snapshot, [])
        self.check("nothing is wrong in the database, and results are those of an undisturbed run", not complaints, complaints)
        return snapshot

    # -- it is killed while the disk is full
    def killed(self):
        self.start()
        _, _, running = self.ask("POST", "/experiments", with_training(SHORT[2], self.iterations, 30))
        self.wait("it runs", lambda: self.one(running["id"])["progress"]["iteration"] > 0)
        self.fill()
        time.sleep(0.2)
        self.check("it was killed", self.server.kill())
        self.fill()
        self.server.start()
        port = self.server.wait()
        if port == 0:
            words = self.server.last_words()
            self.check("a start on a full disk says so", "full" in words or "No space left" in words, words)
            self.check("with status 1", self.server._end() == 1)
        else:
            self.check("it was stopped", self.server.stop() == 0)
        os.unlink(self.ballast)
        self.start()
        self.wait("the run ends", lambda: self.one(running["id"])["state"] == "succeeded")
        self.server.stop()
        self.inspect().close()

    # -- the folder of checkpoints and models cannot be written any more, for a while
    def read_only_artifacts(self):
        self.start()
        artifacts = os.path.join(self.data, "artifacts")
        _, _, running = self.ask("POST", "/experiments", with_training(SHORT[1], self.iterations, 30))
        self.wait("it runs", lambda: self.one(running["id"])["progress"]["iteration"] > 0)
        mount("--bind", artifacts, artifacts)
        mount("-o", "remount,bind,ro", artifacts)
        workers = lambda: self.ask("GET", "/workers")[2]["workers"][0]
        self.wait("the training goes on", lambda: workers()["iteration"] >= self.iterations)
        self.wait("it says why it waits", lambda: "Read-only file system" in str(self.one(running["id"])["warning"]), 15)
        self.check("it is neither lost nor failed", self.one(running["id"])["state"] == "running", self.one(running["id"]))
        status, _, answer = self.ask("POST", "/experiments", with_training(SHORT[0], 100, 2))
        self.check("submissions go on", status == 201, answer)
        subprocess.run(["umount", artifacts], check=True)
        self.wait("both succeed without a restart", lambda: all(self.one(id)["state"] == "succeeded"
                                                              for id in (running["id"], answer["id"])), 30)
        self.check("it stops as ever", self.server.stop() == 0, self.server.last_words())
        self.inspect().close()

    # -- all of it is read-only
    def read_only(self):
        before = self.inspect()
        mount("-o", "remount,ro", self.data)
        self.server.start()
        self.check("a start on a read-only file system is refused", self.server.wait() == 0)
        words = self.server.last_words()
        self.check("the reason is named", "Read-only file system" in words, words)
        self.check("with status 1", self.server._end() == 1)
        mount("-o", "remount,rw", self.data)
        after = self.inspect()
        self.check("nothing is changed", list(map(tuple, before.rows.values())) == list(map(tuple, after.rows.values())))
        before.close(), after.close()
        self.start()
        self.check("once it can be written it starts", self.ask("GET", "/experiments")[0] == 200)
        self.server.stop()


def main():
    test = Full(sys.argv[1], "brief" in sys.argv[2:])
    try:
        for part in (test.fills_up, test.killed, test.read_only_artifacts, test.read_only):
            part()
    finally:
        test.server.kill()
        subprocess.run(["umount", "-l", test.data])
        shutil.rmtree(test.folder, ignore_errors=True)
    print(f"a full disk, a read-only one: {test.checked} checks, {test.failed} failed", flush=True)
    return min(test.failed, 100)


if __name__ == "__main__":
    sys.exit(main())
