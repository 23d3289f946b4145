"""The programs that measure: gradreg_bench, and PyTorch where there is one."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
# What a user's shell has set must not change what is measured.
FOREIGN = ("GRADREG_KERNELS", "OPENBLAS_CORETYPE", "GRADREG_RESTARTED", "GRADREG_DATA_DIR", "GRADREG_SERVER")
OPENBLAS_OF = {"avx512": "SkylakeX", "avx2": "Haswell", "baseline": None}


class Failure(Exception):
    """A measurement that could not be made, and why."""


def environment(kernels=None, openblas=None):
    values = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    values.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
    if kernels:
        values["GRADREG_KERNELS"] = kernels
        openblas = OPENBLAS_OF[kernels]
    if openblas:
        values["OPENBLAS_CORETYPE"] = openblas
    return values


def pinned(core):
    """For Popen's preexec_fn."""
    return (lambda: os.sched_setaffinity(0, {core})) if core is not None else None


class Bench:
    """gradreg_bench with a data directory and cores of its own."""

    def __init__(self, program, data_directory, cores):
        self.program, self.data_directory, self.cores = program, data_directory, cores

    def run(self, measurement, document, seconds, kernels=None):
        command = [self.program, measurement, "--seconds", str(seconds), "--data-dir", self.data_directory,
                   "--cores", ",".join(str(core) for core in self.cores)]
        if document:
            command += ["--spec", "-"]
        done = subprocess.run(command, input=json.dumps(document or {}), env=environment(kernels), text=True,
                              capture_output=True)
        if done.returncode != 0:
            raise Failure(done.stderr.strip().removeprefix("gradreg_bench ") or f"status {done.returncode}")
        return json.loads(done.stdout)


def python_with_torch():
    """The Python that PyTorch is installed for: this one, or the system's. None: there is none."""
    for python in dict.fromkeys((sys.executable, "/usr/bin/python3")):
        if os.path.exists(python) and subprocess.run([python, "-c", "import torch"], capture_output=True).returncode == 0:
            return python
    return None


class Peer:
    """PyTorch: peer.py as one process that answers request after request, and for LeNet's main methods the
    given script (`file`, may be None), which is called anew each time."""

    FILE_METHODS = ("plain", "datagrad", "spectreg", "frobreg", "jacreg")

    def __init__(self, python, file, core, openblas):
        self.python, self.file, self.core = python, file, core
        self.environment = environment(openblas=openblas)
        self.process = None

    def milliseconds(self, request, seconds):
        """None where the peer has no such method."""
        if self.file and request["net"] == "lenet" and request["method"] in self.FILE_METHODS:
            return self.of_file(request, seconds)
        if not self.process:
            self.process = subprocess.Popen(
                [self.python, os.path.join(HERE, "peer.py")], env=self.environment, preexec_fn=pinned(self.core),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            self.process.stdin.write(json.dumps(dict(request, seconds=seconds)) + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            self.close()
            raise Failure("PyTorch's process ended")
        if "error" in answer:
            raise Failure("PyTorch: " + answer["error"])
        return answer["ms"]

    def of_file(self, request, seconds):
        iterations = max(10, min(100, int(seconds * 3000 / request["batch"])))
        done = subprocess.run(
            [self.python, self.file, "--batch", str(request["batch"]), "--methods", request["method"],
             "--iterations", str(iterations)],
            env=self.environment, preexec_fn=pinned(self.core), capture_output=True, text=True)
        if done.returncode != 0:
            raise Failure(f"{self.file}: " + (done.stderr.strip().splitlines() or ["failed"])[-1])
        return json.loads(done.stdout)["ms_per_iteration"][request["method"]]

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.stdout.close()
            self.process.wait()
            self.process = None
