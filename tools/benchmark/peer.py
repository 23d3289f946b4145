"""What a user of PyTorch would run instead: training steps of the same nets and methods, one thread.

Reads requests, one JSON object a line: {"net", "method", "batch", "seconds"}; answers each with {"ms": the median of
a step's milliseconds, or null for a method that is not here, "variant": …} or {"error": …}. The variants are oneDNN's
convolutions on and off, and for ResNet channels last; the best of them, found at the first request, stands for all."""
import itertools
import json
import os
import statistics
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import torch
import torch.nn as nn
import torch.nn.functional as F

CLASSES, BATCHES = 10, 10


def lenet(first=6, second=16, last=lambda: nn.Dropout(0.5), activation=nn.ReLU):
    return nn.Sequential(nn.Conv2d(1, first, 5, padding=2), activation(), nn.MaxPool2d(2), nn.Conv2d(first, second, 5),
                         activation(), nn.MaxPool2d(2), nn.Conv2d(second, 120, 5), activation(), nn.Flatten(),
                         nn.Linear(120, 84), activation(), last(), nn.Linear(84, CLASSES))


class Block(nn.Module):
    def __init__(self, inputs, filters, stride):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(inputs, filters, 3, stride, 1), nn.BatchNorm2d(filters), nn.ReLU(),
                                  nn.Conv2d(filters, filters, 3, 1, 1), nn.BatchNorm2d(filters))
        self.stride, self.added = stride, filters - inputs

    def forward(self, x):
        shortcut = x
        if self.stride > 1:
            shortcut = F.pad(F.avg_pool2d(x, 2), (0, 0, 0, 0, 0, self.added))
        return F.relu(self.body(x) + shortcut)


def resnet():
    layers, inputs = [nn.Conv2d(3, 16, 3, 1, 1), nn.BatchNorm2d(16), nn.ReLU()], 16
    for filters in (16, 32, 64):
        for block in range(3):
            layers.append(Block(inputs, filters, 2 if block == 0 and filters > 16 else 1))
            inputs = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, CLASSES))


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(),
                         nn.Linear(200, CLASSES))


NETS = {"lenet": lenet, "lenet_tuned": lambda: lenet(32, 64), "resnet": resnet, "mlp": mlp,
        "lenet_batchnorm": lambda: lenet(last=lambda: nn.BatchNorm1d(84)),
        "lenet_tanh": lambda: lenet(activation=nn.Tanh), "lenet_sigmoid": lambda: lenet(activation=nn.Sigmoid),
        "lenet_softplus": lambda: lenet(activation=nn.Softplus), "lenet_elu": lambda: lenet(activation=nn.ELU)}


def squared(s, x):
    return torch.autograd.grad(s.sum(), x, create_graph=True)[0].square().flatten(1).sum(1)


# What each method adds to the loss: (net, x, labels, z, each sample's loss) → a scalar.
def all_rows(z, x):
    return sum(squared(z[:, k], x) for k in range(z.shape[1])).mean()


def projections(net, x, y, z, each):
    rows = F.normalize(torch.randn(2, CLASSES), dim=1) * (CLASSES / 2) ** 0.5
    return 0.03 * sum(squared(z @ row, x) for row in rows).mean()


def l1_of_gradient(net, x, y, z, each):
    return 0.1 * torch.autograd.grad(each.sum(), x, create_graph=True)[0].abs().flatten(1).sum(1).mean()


def two_sided(net, x, y, z, each):
    return 0.3 * ((squared(z.gather(1, y[:, None]), x) + 1e-16).sqrt() - 1).square().mean()


def at_points(points):
    points = points.detach().requires_grad_()
    return points


def at_noise(net, x, y, z, each):
    points = at_points(x + 0.2 * torch.randn_like(x))
    return 0.03 * squared(net(points) * torch.randn(CLASSES), points).mean()


def at_mixup(net, x, y, z, each):
    points = at_points(torch.lerp(x, x[torch.randperm(len(x))], torch.rand(len(x), 1, 1, 1)))
    return 0.03 * squared(net(points) * torch.randn(CLASSES), points).mean()


def resampled_dropout(net, x, y, z, each):
    points = at_points(x)
    return 50 * squared(F.cross_entropy(net(points), y, reduction="none"), points).mean()


def adversarial(steps):
    def penalty(net, x, y, z, each):
        points = x
        for step in range(steps):
            if step:
                points = at_points(points)
                each = F.cross_entropy(net(points), y, reduction="none")
            g = torch.autograd.grad(each.sum(), points, retain_graph=step == 0)[0]
            points = points.detach() + 0.3 / steps * g.sign()
        return F.cross_entropy(net(points), y)
    return penalty


def gradient_difference(net, x, y, z, each):
    g = torch.autograd.grad(each.sum(), x, retain_graph=True)[0]
    g = g / (g.flatten(1).norm(dim=1)[:, None, None, None] + 1e-12)
    return ((F.cross_entropy(net(x.detach() + 0.1 * g), y, reduction="none") - each) / 0.1).square().mean()


def tangent_prop(net, x, y, z, each):
    """Four transformations' directions, each pushed forward by differentiating the backward pass."""
    down, right = torch.gradient(x.detach(), dim=(2, 3))
    rows, columns = torch.meshgrid(*(torch.linspace(-1, 1, side) for side in x.shape[2:]), indexing="ij")
    dummy = torch.zeros_like(z, requires_grad=True)
    pulled = torch.autograd.grad(z, x, dummy, create_graph=True)[0]
    directions = (down, right, rows * right - columns * down, rows * down + columns * right)
    return 0.001 * sum(torch.autograd.grad(pulled, dummy, direction, create_graph=True)[0].square().sum(1)
                       for direction in directions).mean()


# Methods that remember something of their net: one object for each net.
class SpectralNorm:
    def __init__(self):
        self.vectors = {}

    def __call__(self, net, x, y, z, each):
        total = 0
        for i, weight in enumerate(weights_of(net)):
            matrix = weight.flatten(1)
            with torch.no_grad():
                u = F.normalize(matrix.t() @ self.vectors.get(i, torch.ones(len(matrix))), dim=0)
                v = self.vectors[i] = F.normalize(matrix @ u, dim=0)
            total = total + (v @ matrix @ u).square()
        return 0.005 * total


class Contractive:
    """Each layer with weights and what follows it: one random projection of its Jacobian at its own input."""

    def __init__(self):
        self.inputs, self.listens = [], False

    def __call__(self, net, x, y, z, each):
        if not self.listens:  # from the second step on; the first is not timed
            for layer in net:
                if hasattr(layer, "weight"):
                    layer.register_forward_pre_hook(lambda layer, given: self.inputs.append(given[0]))
            self.listens = True
            return 0.0
        total = 0
        for before, after in zip(self.inputs, self.inputs[1:] + [z]):
            pulled = torch.autograd.grad((after * torch.randn_like(after)).sum(), before, create_graph=True)[0]
            total = total + (pulled.square().flatten(1).sum(1) + 1e-16).sqrt().mean()
        self.inputs.clear()
        return 0.001 * total


def weights_of(net):
    return [p for p in net.parameters() if p.dim() > 1]


METHODS = {
    "plain": None,
    "datagrad": lambda net, x, y, z, each: 50 * squared(each, x).mean(),
    "spectreg": lambda net, x, y, z, each: 0.03 * squared(z * torch.randn(CLASSES), x).mean(),
    "spectreg_per_sample": lambda net, x, y, z, each: 0.03 * squared(z * torch.randn_like(z), x).mean(),
    "frobreg": lambda net, x, y, z, each: 0.03 * all_rows(z, x),
    "frobreg_projections_2": projections,
    "jacreg": lambda net, x, y, z, each: all_rows(F.softmax(z, 1), x),
    "jacobian_norm": lambda net, x, y, z, each:
        0.1 * (sum(squared(z[:, k], x) for k in range(CLASSES)) + 1e-16).sqrt().mean(),
    "onehot": lambda net, x, y, z, each: 0.3 * squared(z.gather(1, y[:, None]), x).mean(),
    "random_onehot": lambda net, x, y, z, each:
        0.3 * squared(z.gather(1, torch.randint(0, CLASSES, (len(x), 1))), x).mean(),
    "datagrad_l1": l1_of_gradient,
    "expected": lambda net, x, y, z, each: 0.1 * squared((F.softmax(z, 1) * z).sum(1), x).mean(),
    "top_k": lambda net, x, y, z, each: 0.1 * squared(z.topk(2, 1)[0].sum(1), x).mean(),
    "two_sided": two_sided,
    "at_noise": at_noise,
    "at_mixup": at_mixup,
    "datagrad_resampled_dropout": resampled_dropout,
    "adversarial_fgsm": adversarial(1),
    "adversarial_pgd": adversarial(5),
    "gradient_difference": gradient_difference,
    "confidence_penalty": lambda net, x, y, z, each:
        0.5 * (F.softmax(z, 1) * F.log_softmax(z, 1)).sum(1).mean(),
    "l1": lambda net, x, y, z, each: 1e-4 * sum(p.abs().sum() for p in weights_of(net)),
    "tangent_prop": tangent_prop,
    "spectral_norm": SpectralNorm,
    "contractive": Contractive,
    "label_smoothing": None,
    "input_noise": None,
}
WITHOUT_INPUT_GRADIENT = ("plain", "l1", "spectral_norm", "confidence_penalty", "label_smoothing", "input_noise")


def stepper(request, channels_last):
    torch.manual_seed(1)
    net_name, method, batch = request["net"], request["method"], request["batch"]
    net = NETS[net_name]()
    shape = (3, 32, 32) if net_name == "resnet" else (1, 28, 28)
    data, labels = torch.randn(BATCHES * batch, *shape), torch.randint(0, CLASSES, (BATCHES * batch,))
    if channels_last:
        net, data = net.to(memory_format=torch.channels_last), data.to(memory_format=torch.channels_last)

    def samples(i):
        at = slice(i % BATCHES * batch, (i % BATCHES + 1) * batch)
        return data[at], labels[at]

    if method == "evaluation":
        net.eval()

        def evaluate(i):
            with torch.no_grad():
                x, y = samples(i)
                z = net(x)
                return F.cross_entropy(z, y).item(), (z.argmax(1) == y).sum().item()
        return evaluate

    penalty, smoothing = METHODS[method], 0.1 if method == "label_smoothing" else 0.0
    if isinstance(penalty, type):
        penalty = penalty()
    optimizer = (torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True) if net_name == "resnet"
                 else torch.optim.Adam(net.parameters(), lr=1e-3))

    def step(i):
        x, y = samples(i)
        if method == "input_noise":
            x = x + 0.2 * torch.randn_like(x)
        x = x.detach().requires_grad_(method not in WITHOUT_INPUT_GRADIENT)
        z = net(x)
        each = F.cross_entropy(z, y, reduction="none", label_smoothing=smoothing)
        loss = each.mean() + 2.5e-4 * sum(p.square().sum() for p in weights_of(net))
        if penalty:
            loss = loss + penalty(net, x, y, z, each)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return step


def median(step, seconds, minimum):
    step(0)
    times, end = [], time.perf_counter() + seconds
    while len(times) < minimum or time.perf_counter() < end:
        began = time.perf_counter()
        step(len(times) + 1)
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


def measure(request, best):
    key = (request["net"], request["method"], request["batch"])
    if request["method"] != "evaluation" and request["method"] not in METHODS:
        return {"ms": None}
    variants = list(itertools.product((True, False), (False, True) if request["net"] == "resnet" else (False,)))
    if key not in best:
        trial = {}
        for onednn, channels_last in variants:
            torch.backends.mkldnn.enabled = onednn
            trial[onednn, channels_last] = median(stepper(request, channels_last), request["seconds"] / 8, 2)
        best[key] = min(trial, key=trial.get)
    onednn, channels_last = best[key]
    torch.backends.mkldnn.enabled = onednn
    ms = median(stepper(request, channels_last), request["seconds"], 3)
    return {"ms": ms, "variant": f"oneDNN {'on' if onednn else 'off'}{', channels last' if channels_last else ''}"}


if __name__ == "__main__":
    torch.set_num_threads(1)
    remembered = {}
    for line in sys.stdin:
        try:
            answer = measure(json.loads(line), remembered)
        except Exception as problem:  # one line for whoever asked
            answer = {"error": f"{type(problem).__name__}: {problem}".splitlines()[0]}
        print(json.dumps(answer), flush=True)
