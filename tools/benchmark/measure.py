"""Each measurement of a case: rows of the table, as dictionaries."""
import json
import os
import statistics
import subprocess
import sys
import time

import pictures
import programs
import service

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IDLE_LOAD = 0.5
BUSY = 0.97  # a process that ran for less of the time had to share its core
# Short rounds, so that what else goes on around the machine is the same for both sides of one.
SECONDS, ROUNDS, QUICK_SECONDS, QUICK_ROUNDS = 0.7, 7, 0.3, 1
WORKERS_ROUNDS = 16  # rounds' seconds that the process with two workers takes for its own turns
SERVICE_ROUNDS, QUICK_SERVICE_ITERATIONS = 3, 1000


class Session:
    """The programs, the pictures, and what could not be measured."""

    def __init__(self, options, folder):
        self.options = options
        cores = sorted(os.sched_getaffinity(0))
        core = cores[0] if options.core is None else options.core
        if core not in cores:
            sys.exit(f"tools/bench: core {core} may not be used here; one of {cores} may")
        self.cores = [core] + [other for other in cores if other != core][:1]
        self.folder, self.written, self.unmeasured = folder, set(), []
        self.seconds = QUICK_SECONDS if options.quick else SECONDS
        self.rounds = QUICK_ROUNDS if options.quick else ROUNDS
        self.bench = programs.Bench(os.path.join(options.build_dir, "tests", "bench", "gradreg_bench"), folder,
                                    self.cores)
        self.gradreg = os.path.join(options.build_dir, "gradreg")
        self.machine = self.bench.run("machine", None, self.seconds)
        self.peer = self.find_peer()

    def cannot(self, what, why):
        if (what, why) not in self.unmeasured:
            self.unmeasured.append((what, why))

    def find_peer(self):
        file = self.options.peer or os.path.join(ROOT, "..", "shared", "peers", "pytorch_lenet.py")
        if not os.path.exists(file):
            if self.options.peer:
                sys.exit(f"tools/bench: --peer {file}: there is no such file")
            file = None
        if self.options.no_peer:
            self.cannot("against PyTorch", "--no-peer")
            return None
        python = programs.python_with_torch()
        if not python:
            self.cannot("against PyTorch", "no Python here has torch (Debian: python3-torch)")
            return None
        return programs.Peer(python, file, self.cores[0], self.machine["best_openblas_kernel"])


def rounds_of(session, case, need_peer=True):
    """Ours and the peer's in turns: results of gradreg_bench, milliseconds of the peer."""
    ours, peers = [], []
    for _ in range(session.rounds):
        ours.append(session.bench.run(case.measurement, case.spec, session.seconds, case.kernels))
        if session.peer and case.peer and need_peer:
            try:
                ms = session.peer.milliseconds(case.peer, session.seconds)
            except programs.Failure as failure:
                session.cannot(f"PyTorch for {case.name}", str(failure))
                ms = None
            if ms is None:
                session.cannot(f"PyTorch for {case.name}", "tools/benchmark/peer.py has no such method")
                need_peer = False
            else:
                peers.append(ms)
    return ours, peers


def ratio_of(ours, peers):
    """The median of the rounds' own ratios."""
    return statistics.median(peer / result["ms"] for result, peer in zip(ours, peers))


def middle(results, name):
    return statistics.median(result[name] for result in results)


def judge(row):
    """Whether what is required is met, where all of it was measured."""
    required = row.get("required")
    if not required:
        return
    checks = []
    for name in ("ratio", "share"):
        if name in required:
            checks.append(None if row.get(name) is None else row[name] >= required[name])
    if "mebibytes" in required:
        checks.append(row["bytes"] < required["mebibytes"] * 2**20)
    if "added" in required:
        checks.append(row["added"] < required["added"])
    row["met"] = False if False in checks else None if None in checks else True


def floor_operations(case, result):
    batch = case.spec["training"]["batch_size"]
    if not case.units:
        return result["iteration_operations"] - batch * result["first_layer_operations"]
    units, saved = case.units
    return batch * (units * result["forward_operations"] - saved * result["first_layer_operations"])


def note_busy(row, results):
    share = min(result["core_share"] for result in results)
    if share < BUSY:
        row["note"] = f"had {100 * share:.0f} % of its core"


def measure_iterations(session, case):
    ours, peers = rounds_of(session, case)
    operations = floor_operations(case, ours[0])
    ms, sgemm = middle(ours, "ms"), middle(ours, "sgemm_gflops")
    row = {"group": case.group, "name": case.name, "ms": ms, "gflops": 2e-6 * operations / ms, "sgemm_gflops": sgemm,
           "floor_ms": 2e-6 * operations / sgemm, "memory_bytes": ours[0]["memory_bytes"], "operations": operations,
           "rounds": ours, "required": {}}
    row["share"] = row["gflops"] / sgemm
    if peers:
        row["peer_ms"], row["peer_rounds"] = statistics.median(peers), peers
        row["ratio"] = ratio_of(ours, peers)
    if case.peer_ratio:
        row["required"]["ratio"] = case.peer_ratio
    if case.share:
        row["required"]["share"] = case.share
    note_busy(row, ours)
    return [row]


def measure_evaluation(session, case):
    ours, peers = rounds_of(session, case)
    samples, sgemm = ours[0]["samples"], middle(ours, "sgemm_gflops")
    ms = middle(ours, "ms")
    row = {"group": case.group, "name": case.name, "ms": ms, "samples": samples,
           "samples_per_second": 1e3 * samples / ms, "gflops": 2e-6 * samples * ours[0]["forward_operations"] / ms,
           "sgemm_gflops": sgemm, "rounds": ours}
    row["name"] += f", {samples} samples"
    row["share"] = row["gflops"] / sgemm
    if peers:
        peers = [peer * samples / case.peer["batch"] for peer in peers]
        row["peer_ms"], row["peer_rounds"] = statistics.median(peers), peers
        row["ratio"] = ratio_of(ours, peers)
    note_busy(row, ours)
    return [row]


def measure_kernels(session, case):
    # Every layer is measured in its own time: fewer seconds each.
    results = [session.bench.run("kernels", case.spec, session.seconds / 3) for _ in range(session.rounds)]
    rows = []
    for i, kernel in enumerate(results[0]["kernels"]):
        ours = [result["kernels"][i] for result in results]
        size = f" {kernel['kernel']:.0f}×{kernel['kernel']:.0f}" if "kernel" in kernel else ""
        row = {"group": case.group, "ms": middle(ours, "ms"), "gflops": middle(ours, "gflops"),
               "sgemm_gflops": middle(ours, "sgemm_gflops"), "rounds": ours,
               "name": f"{kernel['kind']}{size} {kernel['in']} → {kernel['out']}, {kernel['lanes']:.0f} lanes, "
                       f"{kernel['pass']}"}
        row["share"] = row["gflops"] / row["sgemm_gflops"]
        note_busy(row, results)
        rows.append(row)
    return rows


def measure_workers(session, case):
    if len(session.cores) < 2:
        session.cannot(case.name, "only one core may be used here")
        return []
    result = session.bench.run("workers", case.spec, WORKERS_ROUNDS * session.seconds)
    # As far as two matrix products at once reach twice the rate of one.
    possible = min(1, result["two_products_against_one"] / 2)
    return [{"group": case.group, "name": case.name, "ms": 1e3 / result["iterations_per_second"],
             "ratio": result["two_against_one"], "required": {"ratio": 1.9 * possible}, "rounds": [result],
             "note": f"two sgemms reach {result['two_products_against_one']:.2f}× of one"}]


def measure_memory(session, case):
    result = session.bench.run("memory", case.spec, session.seconds)
    estimated, resident = result["estimated_bytes"], result.get("resident_bytes")
    note = f"estimated {estimated / 2**20:.0f} MiB"
    if resident is None:
        session.cannot(case.name, "its estimate is so large that it was not run")
    else:
        note = f"{resident / 2**20:.0f} MiB, {note}"
    return [{"group": case.group, "name": case.name, "required": {"mebibytes": case.mebibytes}, "rounds": [result],
             "bytes": max(estimated, resident or 0), "note": note}]


def measure_service(session, case):
    document = json.loads(json.dumps(case.spec))
    if session.options.quick:
        document["training"]["iterations"] = QUICK_SERVICE_ITERATIONS
    result = service.measure(session.gradreg, document, session.folder, session.cores[0],
                             1 if session.options.quick else SERVICE_ROUNDS)
    return [{"group": case.group, "name": case.name, "ms": 1e3 * result["server_seconds"] / result["iterations"],
             "added": result["added"], "required": {"added": 0.02}, "rounds": [result],
             "note": f"{100 * result['added']:+.1f} %"}]


MEASURES = {"iterations": measure_iterations, "evaluation": measure_evaluation, "kernels": measure_kernels,
            "workers": measure_workers, "memory": measure_memory, "service": measure_service}


def measure_all(session, cases):
    rows = []
    for case in cases:
        if case.kernels and session.machine["kernels"] != "avx512" and session.machine["kernels"] != case.kernels:
            session.cannot(case.name, f"this processor has no {case.kernels}")
            continue
        print(f"\r\033[K{case.name} …", end="", file=sys.stderr, flush=True) if sys.stderr.isatty() else None
        if "inputs" in case.spec["dataset"]:
            pictures.write_for(case.spec, session.folder, session.written)
        try:
            found = MEASURES[case.measurement](session, case)
        except (programs.Failure, OSError) as failure:
            session.cannot(case.name, str(failure))
            continue
        for row in found:
            judge(row)
        rows += found
    print("\r\033[K", end="", file=sys.stderr) if sys.stderr.isatty() else None
    return rows


def commit():
    done = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=ROOT, capture_output=True,
                          text=True)
    return done.stdout.strip() or None


def machine_facts(session):
    """What the figures depend on, for the JSON."""
    machine = session.machine
    name = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    load = os.getloadavg()[0]
    if machine["kernels"] != "avx512":
        session.cannot("AVX-512 kernels", "this processor has none")
    if load > IDLE_LOAD or machine["core_share"] < BUSY:
        session.cannot("an idle machine", f"the load average was {load:.1f} at the start, and sgemm had "
                       f"{100 * machine['core_share']:.0f} % of its core: figures may be wrong")
    return {"processor": name, "load_average": load, "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "commit": commit(), **machine}
