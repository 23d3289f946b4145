#!/usr/bin/python3
"""Reads a trained model as any other program would, and holds it against gradreg's own predictions.

  check.py MODEL.safetensors PREDICTIONS.csv DATASETS [--torch]

Knows nothing of gradreg's code: the safetensors format, the official files of the data set (mnist, fashion-mnist or
cifar10 in the folder DATASETS), the metadata's mean, standard deviation and spec, and the layers' definitions as PyTorch
has them. Evaluates every test sample of the CSV with NumPy in double precision, or with --torch by nn.Sequential (the
state loaded strictly) in single precision, and compares classes and logits. Exit status 1 where one differs.
"""
import csv, gzip, json, os, sys
import numpy as np

LOGIT_TOLERANCE = 1e-4  # of the greatest logit's magnitude; single precision through some dozen layers leaves about 1e-6
AT_ONCE = 250


# -- files

def read_safetensors(path):
    with open(path, "rb") as file:
        content = file.read()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8:8 + length])
    metadata = header.pop("__metadata__", {})
    types = {"F32": "<f4", "F64": "<f8", "I64": "<i8"}
    arrays = {}
    for name, entry in header.items():
        first, end = entry["data_offsets"]
        data = np.frombuffer(content[8 + length + first:8 + length + end], types[entry["dtype"]])
        arrays[name] = data.reshape(entry["shape"])
    return arrays, metadata


def read_idx(path):
    file = open(path, "rb") if os.path.exists(path) else gzip.open(path + ".gz")
    with file:
        content = file.read()
    rank = content[3]
    shape = np.frombuffer(content, ">i4", rank, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def read_test_samples(name, folder):
    """Pixels [n][channels][rows][columns] and labels [n]."""
    folder = os.path.join(folder, name)
    if name == "cifar10":
        records = np.fromfile(os.path.join(folder, "test_batch.bin"), np.uint8).reshape(-1, 3073)
        return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]
    images = read_idx(os.path.join(folder, "t10k-images-idx3-ubyte"))
    return images[:, None], read_idx(os.path.join(folder, "t10k-labels-idx1-ubyte"))


def read_predictions(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    classes = sum(name.startswith("logit.") for name in rows[0])
    column = lambda name: np.array([int(row[name]) for row in rows])
    logits = np.array([[float(row[f"logit.{k}"]) for k in range(classes)] for row in rows])
    return column("index"), column("label"), column("predicted"), column("correct"), logits


# -- the network as a list of layers

def layers_of(model, classes):
    """The layers that a preset stands for, as docs/methods.md and the papers say."""
    if "layers" in model:
        return model["layers"]
    conv = lambda filters, kernel, stride=1, padding=0: {
        "type": "conv2d", "filters": filters, "kernel": kernel, "stride": stride, "padding": padding}
    relu, flatten = {"type": "relu"}, {"type": "flatten"}
    linear = lambda units: {"type": "linear", "units": units}
    if model["preset"] == "lenet":
        pool = {"type": "maxpool2d", "size": 2}
        end = [{"type": "batchnorm"}] if model.get("batchnorm") else [{"type": "dropout"}]
        return [conv(6, 5, 1, 2), relu, pool, conv(16, 5), relu, pool, conv(120, 5), relu, flatten, linear(84), relu,
                *end, linear(classes)]
    if model["preset"] == "resnet":
        normalise = [{"type": "batchnorm"}] if model.get("batchnorm", True) else []
        layers = [conv(16 * model.get("width", 1), 3, 1, 1), *normalise, relu]
        for stage in range(3):
            filters = 16 * model.get("width", 1) << stage
            for block in range(model.get("blocks", 3)):
                halves = stage > 0 and block == 0
                layers += [{"type": "residual",
                            "body": [conv(filters, 3, 2 if halves else 1, 1), *normalise, relu,
                                     conv(filters, 3, 1, 1), *normalise],
                            "shortcut": [{"type": "avgpool2d", "size": 2},
                                         {"type": "pad_channels", "channels": filters}] if halves else []}, relu]
        return layers + [{"type": "global_avgpool2d"}, flatten, linear(classes)]
    sys.exit(f"check.py knows nothing of the preset {model['preset']}: write its layers out")


def padding_of(layer):
    padding = layer.get("padding", 0)
    return {"valid": 0, "same": layer["kernel"] // 2}.get(padding, padding)


# -- NumPy, in double precision

def windows(x, size, stride):
    """[n][channels][rows][columns][size][size]"""
    return np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]


def convolve(x, layer, weight, bias):
    p = padding_of(layer)
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    patches = windows(x, layer["kernel"], layer.get("stride", 1))
    return np.tensordot(patches, weight, ((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2) + bias[:, None, None]


def normalise(x, layer, get):
    shape = (1, -1) + (1,) * (x.ndim - 2)
    deviation = np.sqrt(get("running_var") + layer.get("epsilon", 1e-5))
    scale = get("weight") / deviation
    return x * scale.reshape(shape) + (get("bias") - get("running_mean") * scale).reshape(shape)


def apply_layer(x, layer, arrays, name):
    get = lambda array: arrays[f"{name}.{array}"].astype(np.float64)
    kind = layer["type"]
    if kind == "residual":
        body = apply_layers(x, layer["body"], arrays, f"{name}.body.")
        return body + apply_layers(x, layer.get("shortcut", []), arrays, f"{name}.shortcut.")
    if kind == "linear":
        return x @ get("weight").T + get("bias")
    if kind == "conv2d":
        return convolve(x, layer, get("weight"), get("bias"))
    if kind == "batchnorm":
        return normalise(x, layer, get)
    if kind in ("maxpool2d", "avgpool2d"):
        size = layer.get("size", 2)
        patches = windows(x, size, layer.get("stride") or size)
        return patches.max((4, 5)) if kind == "maxpool2d" else patches.mean((4, 5))
    if kind == "pad_channels":
        return np.pad(x, ((0, 0), (0, layer["channels"] - x.shape[1]), (0, 0), (0, 0)))
    return {"relu": lambda: np.maximum(x, 0), "leaky_relu": lambda: np.where(x > 0, x, layer.get("slope", 0.01) * x),
            "tanh": lambda: np.tanh(x), "sigmoid": lambda: 1 / (1 + np.exp(-x)), "softplus": lambda: np.logaddexp(0, x),
            "elu": lambda: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), "dropout": lambda: x,
            "global_avgpool2d": lambda: x.mean((2, 3), keepdims=True), "flatten": lambda: x.reshape(len(x), -1)}[kind]()


def apply_layers(x, layers, arrays, prefix=""):
    for i, layer in enumerate(layers):
        x = apply_layer(x, layer, arrays, f"{prefix}{i}")
    return x


# -- PyTorch

def torch_network(layers, arrays):
    import torch
    from torch import nn

    class Residual(nn.Module):
        def __init__(self, body, shortcut):
            super().__init__()
            self.body, self.shortcut = body, shortcut

        def forward(self, x):
            return self.body(x) + self.shortcut(x)

    class PadChannels(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.channels = channels

        def forward(self, x):
            return nn.functional.pad(x, (0, 0, 0, 0, 0, self.channels - x.shape[1]))

    def module(layer, name):
        kind = layer["type"]
        shape = arrays[f"{name}.weight"].shape if f"{name}.weight" in arrays else None
        if kind == "residual":
            return Residual(sequence(layer["body"], f"{name}.body."), sequence(layer.get("shortcut", []), f"{name}.shortcut."))
        if kind == "linear":
            return nn.Linear(shape[1], layer["units"])
        if kind == "conv2d":
            return nn.Conv2d(shape[1], layer["filters"], layer["kernel"], layer.get("stride", 1), padding_of(layer))
        if kind == "batchnorm":  # of images or of vectors: their evaluation is the same
            after_flatten = "." not in name and flat is not None and int(name) > flat
            return (nn.BatchNorm1d if after_flatten else nn.BatchNorm2d)(shape[0], layer.get("epsilon", 1e-5))
        if kind in ("maxpool2d", "avgpool2d"):
            pool = nn.MaxPool2d if kind == "maxpool2d" else nn.AvgPool2d
            return pool(layer.get("size", 2), layer.get("stride"))
        return {"relu": nn.ReLU, "leaky_relu": lambda: nn.LeakyReLU(layer.get("slope", 0.01)), "tanh": nn.Tanh,
                "sigmoid": nn.Sigmoid, "softplus": nn.Softplus, "elu": nn.ELU, "dropout": nn.Dropout,
                "global_avgpool2d": lambda: nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten,
                "pad_channels": lambda: PadChannels(layer["channels"])}[kind]()

    def sequence(layers, prefix=""):
        return nn.Sequential(*(module(layer, f"{prefix}{i}") for i, layer in enumerate(layers)))

    flat = next((i for i, layer in enumerate(layers) if layer["type"] == "flatten"), None)
    network = sequence(layers)
    network.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()}, strict=True)
    network.eval()
    torch.set_num_threads(1)

    def evaluate(x):
        with torch.no_grad():
            return network(torch.tensor(x, dtype=torch.float32)).numpy().astype(np.float64)
    return evaluate


# -- the comparison

def main():
    with_torch = "--torch" in sys.argv
    paths = [argument for argument in sys.argv[1:] if argument != "--torch"]
    if len(paths) != 3:
        sys.exit(__doc__)
    arrays, metadata = read_safetensors(paths[0])
    spec = json.loads(metadata["spec"])
    pixels, labels = read_test_samples(spec["dataset"]["name"], paths[2])
    index, label, predicted, correct, logits = read_predictions(paths[1])
    mean = np.array(json.loads(metadata["mean"])).reshape(-1, 1, 1)
    deviation = np.array(json.loads(metadata["standard_deviation"])).reshape(-1, 1, 1)
    layers = layers_of(spec["model"], int(metadata["classes"]))
    evaluate = torch_network(layers, arrays) if with_torch else lambda x: apply_layers(x, layers, arrays)
    outputs = np.concatenate([evaluate((pixels[index[i:i + AT_ONCE]] / 255 - mean) / deviation)
                              for i in range(0, len(index), AT_ONCE)])

    failed = []
    if sorted(index) != list(range(len(pixels))):
        failed.append("the CSV does not hold each test sample once")
    if (label != labels[index]).any():
        failed.append("labels differ from the data's")
    if (correct != (label == predicted)).any():
        failed.append("\"correct\" is not what label and class say")
    different = np.flatnonzero(outputs.argmax(1) != predicted)
    for i in different[:5]:
        failed.append(f"sample {index[i]}: class {predicted[i]} by gradreg, {outputs[i].argmax()} here")
    largest = np.abs(outputs - logits).max() / np.abs(outputs).max()
    if not largest <= LOGIT_TOLERANCE:
        failed.append(f"logits differ by {largest:.2g} of the greatest")
    here = int((outputs.argmax(1) == labels[index]).sum())
    print(f"{len(index)} test samples, {here} right here, {int(correct.sum())} by gradreg; {len(different)} of another class; "
          f"logits within {largest:.1e} of the greatest ({'PyTorch' if with_torch else 'NumPy'})")
    for line in failed:
        print("FAILED:", line)
    sys.exit(bool(failed))


main()
