"""Random pictures of MNIST's and CIFAR's shapes, as a user's own .npy files: how long an iteration takes
depends on what is in them only by the share of adjoints that a relu makes 0, about half, so that the benchmark runs where
no data set is."""
import os
import random

CLASSES = 10
# name: (channels, side, samples); a fifth is for testing, a fifth of the rest for validation
SETS = {"28": (1, 28, 4000), "32": (3, 32, 4000), "28 many": (1, 28, 80000)}
VALIDATION = 500


def file_name(what, name):
    return f"{what}_{name.replace(' ', '_')}.npy"


def dataset(name, train_size):
    """The member "dataset" of a spec."""
    return {"name": "npy", "inputs": file_name("inputs", name), "labels": file_name("labels", name),
            "train_size": train_size, "validation_size": VALIDATION}


def write_array(path, shape, content):
    header = repr({"descr": "|u1", "fortran_order": False, "shape": shape})
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + content)


def write(name, data_directory):
    """Each class shows its own random pattern in random brightness, so that there is something to learn."""
    channels, side, samples = SETS[name]
    folder = os.path.join(data_directory, "datasets", "user")
    os.makedirs(folder, exist_ok=True)
    source, size = random.Random(1), channels * side * side
    patterns = [bytes(source.choice((0, 255)) for _ in range(size)) for _ in range(CLASSES)]
    masks = [int.from_bytes(pattern, "little") for pattern in patterns]
    content = bytearray()
    for i in range(samples):
        content += (source.getrandbits(8 * size) & masks[i % CLASSES]).to_bytes(size, "little")
    write_array(os.path.join(folder, file_name("inputs", name)), (samples, channels, side, side), bytes(content))
    write_array(os.path.join(folder, file_name("labels", name)), (samples,),
                bytes(i % CLASSES for i in range(samples)))


def write_for(document, data_directory, written):
    """Writes what the spec's data set needs, once."""
    for name in SETS:
        if document["dataset"].get("inputs") == file_name("inputs", name) and name not in written:
            write(name, data_directory)
            written.add(name)
