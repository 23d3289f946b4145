"""What tools/bench measures: a table of cases, each a row.

A case's floor is its multiply-accumulates at the rate of sgemm: `units` times those of a forward pass, less
`saved` times those of its first layer, which an ordinary backward pass needs no adjoint below (docs/performance.md).
"""
import dataclasses

import pictures

WEIGHT_DECAY = {"type": "weight_decay", "weight": 0.0005}
NEVER = 10**9


@dataclasses.dataclass
class Case:
    group: str
    name: str
    measurement: str  # of gradreg_bench; "service": see service.py
    spec: dict
    units: tuple = None  # (units, saved); None: (the spec's own estimate, 1)
    peer: dict = None  # for peer.py: net, method, batch
    peer_ratio: float = None  # what is required: times as fast as the peer
    share: float = None  # … and this share of the floor's rate
    mebibytes: float = None  # … and at most so much memory
    kernels: str = None  # a set other than the best
    quick: bool = True  # part of --quick


def spec(model, batch, regularizers=(), loss=None, optimizer=None, data="28", train_size=2000, decay=True):
    document = {
        "seed": 1,
        "dataset": pictures.dataset(data, train_size),
        "model": model,
        "regularizers": list(regularizers) + ([WEIGHT_DECAY] if decay else []),
        "optimizer": optimizer or {"type": "adam", "learning_rate": 0.001},
        "training": {"iterations": NEVER, "batch_size": batch, "evaluate_every": NEVER, "checkpoint_every": NEVER},
    }
    if loss:
        document["loss"] = loss
    return document


LENET = {"preset": "lenet"}
TUNED = {"preset": "lenet_tuned"}
MLP = {"preset": "mlp", "widths": [200, 200]}
NESTEROV = {"type": "sgd", "learning_rate": 0.01, "momentum": 0.9, "nesterov": True}
DATAGRAD = {"type": "datagrad", "weight": 50}
CLASSES = 10


def lenet_of(activation):
    """LeNet with another activation than relu."""
    smooth, pool = {"type": activation}, {"type": "maxpool2d"}
    return {"layers": [{"type": "conv2d", "filters": 6, "kernel": 5, "padding": "same"}, smooth, pool,
                       {"type": "conv2d", "filters": 16, "kernel": 5}, smooth, pool,
                       {"type": "conv2d", "filters": 120, "kernel": 5}, smooth, {"type": "flatten"},
                       {"type": "linear", "units": 84}, smooth, {"type": "dropout", "rate": 0.5},
                       {"type": "linear", "units": CLASSES}]}


def resnet(width):
    return {"preset": "resnet", "width": width}


def probes(count):
    """Units of a penalty with so many probes: its adjoint, tangent and weights' gradient, beside the main three."""
    return (3 + 3 * count, 1)


# name, regularisers, units, required of LeNet with batch 50: times PyTorch and share of the floor
MAIN_METHODS = [
    ("plain", [], (3, 1), 5, 0.55),
    ("datagrad", [DATAGRAD], probes(1), 6, 0.55),
    ("spectreg", [{"type": "spectreg", "weight": 0.03}], probes(1), 6, 0.55),
    ("frobreg", [{"type": "frobreg", "weight": 0.03}], probes(CLASSES), 6, 0.60),
    ("jacreg", [{"type": "jacreg", "weight": 1}], probes(CLASSES - 1), 8, 0.60),
]

# The others of docs/methods.md. At points of its own a penalty needs a forward pass there, and where its
# cotangent moves with the logits the way back; an attack needs forward and adjoint for each of its steps, then
# forward and backward at the point that it found.
OTHER_METHODS = [
    ("onehot", [{"type": "onehot", "weight": 0.3}], probes(1)),
    ("random_onehot", [{"type": "random_onehot", "weight": 0.3}], probes(1)),
    ("spectreg_per_sample", [{"type": "spectreg", "per": "sample", "weight": 0.03}], probes(1)),
    ("datagrad_l1", [{"type": "gradient_penalty", "probe": "loss", "norm": "l1", "weight": 0.1}], probes(1)),
    ("expected", [{"type": "gradient_penalty", "probe": "expected", "weight": 0.1}], probes(1)),
    ("top_k", [{"type": "gradient_penalty", "probe": "top_k", "k": 2, "weight": 0.1}], probes(1)),
    ("two_sided", [{"type": "gradient_penalty", "probe": "label", "shape": "two_sided", "target": 1, "weight": 0.3}],
     probes(1)),
    ("frobreg_projections_2", [{"type": "frobreg", "projections": 2, "weight": 0.03}], probes(2)),
    ("jacobian_norm", [{"type": "jacobian_norm", "weight": 0.1}], probes(CLASSES)),
    ("at_noise", [{"type": "gradient_penalty", "probe": "random", "at": "noise", "weight": 0.03}], (7, 1)),
    ("at_mixup", [{"type": "gradient_penalty", "probe": "random", "at": "mixup", "weight": 0.03}], (7, 1)),
    ("datagrad_resampled_dropout", [dict(DATAGRAD, resample_dropout=True)], (9, 2)),
    ("contractive", [{"type": "contractive", "weight": 0.001}], probes(1)),
    ("tangent_prop", [{"type": "tangent_prop", "weight": 0.001}], (15, 5)),
    ("adversarial_fgsm", [{"type": "adversarial", "epsilon": 0.3, "weight": 1}], (7, 2)),
    ("adversarial_pgd", [{"type": "adversarial", "epsilon": 0.3, "steps": 5, "weight": 1}], (15, 2)),
    ("gradient_difference", [{"type": "gradient_difference", "h": 0.1, "weight": 2}], (7, 2)),
    ("confidence_penalty", [{"type": "confidence_penalty", "weight": 0.5}], (3, 1)),
    ("input_noise", [{"type": "input_noise", "sigma": 0.2}], (3, 1)),
    ("l1", [{"type": "l1", "weight": 0.0001}], (3, 1)),
    ("spectral_norm", [{"type": "spectral_norm", "weight": 0.01}], (3, 1)),
]


def iteration(group, name, net, method, batch, document, units, **more):
    return Case(group, name, "iterations", document, units=units,
                peer={"net": net, "method": method, "batch": batch}, **more)


def all_cases():
    cases = []
    for net, model, data, batch in (("lenet", LENET, "28", 50), ("resnet", resnet(1), "32", 128)):
        cases.append(Case("kernels", f"kernels of {net}, batch {batch}", "kernels", spec(model, batch, data=data)))

    for name, regularizers, units, ratio, share in MAIN_METHODS:
        cases.append(iteration("methods", f"lenet {name}", "lenet", name, 50, spec(LENET, 50, regularizers), units,
                               peer_ratio=ratio, share=share))
    for name, regularizers, units in OTHER_METHODS:
        cases.append(iteration("others", f"lenet {name}", "lenet", name, 50, spec(LENET, 50, regularizers), units,
                               quick=False))
    cases.append(iteration("others", "lenet label_smoothing", "lenet", "label_smoothing", 50,
                           spec(LENET, 50, loss={"type": "cross_entropy", "label_smoothing": 0.1}), (3, 1), quick=False))
    cases.append(iteration("others", "lenet with batchnorm, datagrad", "lenet_batchnorm", "datagrad", 50,
                           spec(dict(LENET, batchnorm=True), 50, [{"type": "datagrad", "weight": 0.001}]), probes(1),
                           quick=False))

    for activation in ("tanh", "sigmoid", "softplus", "elu"):
        for name, regularizers, units, _, _ in MAIN_METHODS[:2]:
            cases.append(iteration("others", f"lenet with {activation}, {name}", f"lenet_{activation}", name, 50,
                                   spec(lenet_of(activation), 50, regularizers), units, quick=False))

    for batch in (1, 16, 37, 64, 128, 500):
        ratio = 3 if batch == 1 else 4.5
        for name, regularizers, units, _, _ in MAIN_METHODS[:2]:
            cases.append(iteration("batches", f"lenet {name}, batch {batch}", "lenet", name, batch,
                                   spec(LENET, batch, regularizers), units, peer_ratio=ratio))
    for net, model in (("lenet_tuned", TUNED), ("mlp", MLP)):
        for name, regularizers, units, _, _ in MAIN_METHODS[:2]:
            cases.append(iteration("nets", f"{net} {name}", net, name, 50, spec(model, 50, regularizers), units,
                                   peer_ratio=4.5))
    for name, regularizers, ratio in (("plain", [], 1.2), ("datagrad", [{"type": "datagrad", "weight": 1}], 2)):
        document = spec(resnet(1), 128, regularizers, optimizer=NESTEROV, data="32")
        units = (3, 1) if name == "plain" else probes(1)
        cases.append(iteration("nets", f"resnet {name}, batch 128", "resnet", name, 128, document, units,
                               peer_ratio=ratio, share=0.5))

    for name, regularizers, units, _, _ in MAIN_METHODS:
        cases.append(Case("avx2", f"lenet {name}, AVX2", "iterations", spec(LENET, 50, regularizers), units=units,
                          share=0.5, kernels="avx2"))

    for name, regularizers, _, _, _ in MAIN_METHODS[:2]:
        cases.append(Case("workers", f"two workers, lenet {name}", "workers", spec(LENET, 50, regularizers)))

    for net, model, data in (("lenet", LENET, "28"), ("lenet_tuned", TUNED, "28"), ("resnet", resnet(1), "32")):
        document = spec(model, 50, data=data)
        document["training"]["evaluate_every"] = 1
        cases.append(Case("evaluation", f"evaluation, {net}", "evaluation", document, units=(1, 0),
                          peer={"net": net, "method": "evaluation", "batch": 500}))

    for count in (1, 2, 4, 8, 16):
        cases.append(Case("growth", f"lenet frobreg, {count} projections", "iterations",
                          spec(LENET, 50, [{"type": "frobreg", "projections": count, "weight": 0.03}]),
                          units=probes(count), quick=False))
    for width in (100, 200, 400, 800):
        cases.append(Case("growth", f"mlp datagrad, {width}-{width}", "iterations",
                          spec(dict(MLP, widths=[width, width]), 50, [DATAGRAD]), units=probes(1), quick=False))
    for width in (1, 2, 3):
        cases.append(Case("growth", f"resnet datagrad w={width}, batch 32", "iterations",
                          spec(resnet(width), 32, [{"type": "datagrad", "weight": 1}], optimizer=NESTEROV, data="32"),
                          units=probes(1), quick=False))
    for size in (500, 2000, 10000, 50000):
        cases.append(Case("growth", f"lenet plain, {size} training samples", "iterations",
                          spec(LENET, 50, data="28 many", train_size=size), units=(3, 1), quick=False))

    for net, model, batch, data, mebibytes in (("lenet", LENET, 50, "28", 64), ("resnet w=3", resnet(3), 128, "32", 1536)):
        for name, regularizers, _, _, _ in MAIN_METHODS[3:]:
            cases.append(Case("memory", f"memory of {net} {name}, batch {batch}", "memory",
                              spec(model, batch, regularizers, data=data), mebibytes=mebibytes, quick=net == "lenet"))

    service = spec(LENET, 50)
    service["training"].update(iterations=4000, evaluate_every=500, checkpoint_every=1000)
    cases.append(Case("service", "through the server against gradreg run", "service", service))
    return cases
