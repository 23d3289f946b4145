"""What the crash test trains, and what an undisturbed training of it gives."""
import hashlib, json, os, struct, subprocess, time

LONG_SECONDS = 5.0  # an undisturbed training of a long spec takes at least so long
CHECKPOINTS = 12  # of a long training, if it took no longer to write them


def spec(dataset, layers, optimizer, penalty, seed):
    return {"seed": seed, "dataset": {"name": dataset}, "model": {"layers": layers}, "optimizer": optimizer,
            "regularizers": [penalty], "schedule": {"type": "piecewise"}}


def linear(units):
    return {"type": "linear", "units": units}


# Between them: what a checkpoint has to hold (moments, running statistics, masks, the schedule's place, augmentation).
LONG = [
    spec("moons", [linear(64), {"type": "batchnorm"}, {"type": "relu"}, {"type": "dropout", "rate": 0.2}, linear(64),
                   {"type": "relu"}, linear(2)], {"type": "adam", "learning_rate": 0.001},
         {"type": "datagrad", "weight": 0.1}, 11),
    spec("spirals", [linear(96), {"type": "tanh"}, linear(64), {"type": "softplus"}, linear(3)],
         {"type": "sgd", "learning_rate": 0.02, "momentum": 0.9}, {"type": "jacreg", "weight": 0.01}, 12),
    spec("gaussians", [linear(64), {"type": "relu"}, {"type": "dropout", "rate": 0.1}, linear(64), {"type": "relu"},
                       linear(3)], {"type": "adam", "learning_rate": 0.0005}, {"type": "spectreg", "weight": 0.03}, 13)]
SHORT = [spec("moons", [linear(16), {"type": "relu"}, linear(2)], {"type": "adam", "learning_rate": 0.01},
              {"type": "datagrad", "weight": 0.1}, seed) for seed in (1, 2, 3)]


def with_training(plain, iterations, checkpoints):
    every = max(iterations // checkpoints, 1)
    return plain | {"training": {"iterations": iterations, "batch_size": 32, "evaluate_every": max(iterations // 10, 1),
                                 "checkpoint_every": every}}


def essence(document):
    """A spec as text, without what is for people only."""
    return json.dumps({name: value for name, value in document.items() if name not in ("name", "tags")}, sort_keys=True)


def read_model(content):
    """The header and the data of a safetensors file; ValueError where it is none."""
    if len(content) < 8:
        raise ValueError(f"{len(content)} bytes")
    size, = struct.unpack_from("<Q", content)
    if size > len(content) - 8:
        raise ValueError("the header is cut off")
    try:
        header = json.loads(content[8:8 + size])
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"the header is damaged: {error}") from None
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    if max(ends, default=0) != len(content) - 8 - size:
        raise ValueError("the data are cut off")
    return header, content[8 + size:]


def model_digest(content):
    """All of a model but its spec's name and tags."""
    header, data = read_model(content)
    metadata = dict(header["__metadata__"])
    metadata["spec"] = essence(json.loads(metadata["spec"]))
    header["__metadata__"] = metadata
    return hashlib.sha256(json.dumps(header).encode() + data).hexdigest()


class References:
    """Undisturbed trainings by `gradreg run`, each made once."""

    def __init__(self, gradreg, folder, environment):
        self.gradreg, self.folder, self.environment = gradreg, folder, environment
        self.known = {}  # essence of the canonical spec -> (digest, rows, seconds)
        os.makedirs(folder, exist_ok=True)

    def train(self, document):
        base = os.path.join(self.folder, f"{len(self.known)}-{hashlib.md5(essence(document).encode()).hexdigest()}")
        with open(base + ".json", "w") as file:
            json.dump(document, file)
        begin = time.monotonic()
        subprocess.run([self.gradreg, "run", base + ".json", "--data-dir", self.folder, "--out", base + ".safetensors",
                        "--metrics", base + ".jsonl"], env=self.environment, stdout=subprocess.DEVNULL, check=True)
        seconds = time.monotonic() - begin
        with open(base + ".safetensors", "rb") as file:
            content = file.read()
        rows = {}
        with open(base + ".jsonl") as file:
            for line in file:
                values = json.loads(line)
                at = values.pop("iteration")
                rows |= {(name, at): value for name, value in values.items()}
        canonical = json.loads(read_model(content)[0]["__metadata__"]["spec"])
        self.known[essence(canonical)] = model_digest(content), rows, seconds
        return seconds

    def of(self, canonical):
        """(digest, rows, seconds) for a canonical spec (its JSON text)."""
        document = json.loads(canonical)
        if essence(document) not in self.known:
            self.train(document)
        return self.known[essence(document)]

    def long_specs(self, long_seconds, say):
        """The long specs with so many iterations that each takes so long here."""
        specs = []
        for plain in LONG:
            iterations = 4000
            seconds = self.train(with_training(plain, iterations, CHECKPOINTS))
            while seconds < long_seconds:
                iterations = int(iterations * min(max(1.3 * long_seconds / seconds, 1.2), 4)) // 100 * 100
                seconds = self.train(with_training(plain, iterations, CHECKPOINTS))
            say(f"undisturbed: {plain['dataset']['name']}, {iterations} iterations in {seconds:.1f} s")
            specs.append(with_training(plain, iterations, CHECKPOINTS))
        return specs
