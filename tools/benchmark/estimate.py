#!/usr/bin/python3
"""What the training of studies took, beside an estimate of what PyTorch would take for the same iterations: two sentences.

    estimate.py EXPERIMENTS.csv… PERFORMANCE.md

EXPERIMENTS.csv is what gradreg study wrote, for each study. The estimate is, for each experiment, its iterations times PyTorch's time of one with the
same network, batch size and penalty in the table of PERFORMANCE.md (tools/bench --into). Several penalties add up what each adds to plain
training. Experiments whose network or method was not measured are left out on both sides, and counted; so are those without a processor time.
"""
import csv, re, sys

# Regularisers whose cost is that of plain training, and the measured row that stands for a gradient penalty's probe.
FREE = {"weight_decay", "decoupled_weight_decay", "l1", "confidence_penalty", "input_noise"}
ROWS = {"loss": ["datagrad"], "random": ["spectreg", "datagrad"], "label": ["spectreg", "datagrad"],
        "random_label": ["spectreg", "datagrad"], "logits": ["frobreg"], "softmax": ["jacreg"]}
# What the table calls a study's model. Its mlp is one of MNIST's images, 200 and 200 units; the studies' are others.
NETWORKS = {"lenet": "lenet", "lenet_tuned": "lenet_tuned", "resnet 1": "resnet"}
BATCH = 50  # of rows that name none


def read_table(path):
    """(network, method, batch) -> milliseconds of PyTorch."""
    times = {}
    with open(path) as file:
        for line in file:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            found = re.fullmatch(r"(\w+) (\w+)(?:, batch (\d+))?", cells[0])
            if found and len(cells) > 5 and re.fullmatch(r"[0-9.]+", cells[5]):
                times[found[1], found[2], int(found[3] or BATCH)] = float(cells[5])
    return times


def milliseconds(times, model, methods, batch):
    """Of one iteration; None: not measured. ResNet was measured at width 1; its batch normalisation has no counterpart in LeNet's rows."""
    network = NETWORKS.get(model)
    plain = times.get((network, "plain", batch))
    total = plain
    for method in filter(None, methods.split("+")):
        if total is None or method in FREE:
            continue
        rows = [times[network, row, batch] for row in ROWS.get(method, []) if (network, row, batch) in times]
        total = total + rows[0] - plain if rows else None
    return total


def duration(seconds):
    return "%.1f hours" % (seconds / 3600) if seconds >= 3600 else "%.0f minutes" % (seconds / 60) if seconds >= 120 else "%.0f s" % seconds


def rows_of(path):
    with open(path, newline="") as file:
        table = csv.DictReader(file)
        missing = {"model", "methods", "batch_size", "cpu_seconds", "iterations"} - set(table.fieldnames or ())
        if missing:
            sys.exit("%s lacks %s: make it again with gradreg study" % (path, ", ".join(sorted(missing))))
        return list(table)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    times = read_table(sys.argv[-1])
    all_cpu = all_elapsed = cpu = peer = 0.0
    all_iterations = left_out = unmeasured = count = 0
    for row in [row for path in sys.argv[1:-1] for row in rows_of(path)]:
        count += 1
        iterations = int(float(row["iterations"] or 0))
        own = float(row["cpu_seconds"] or 0)
        if own <= 0:  # not begun, or by a version that did not measure it
            unmeasured += 1
            continue
        all_cpu += own
        all_elapsed += float(row["elapsed_seconds"] or 0)
        all_iterations += iterations
        one = milliseconds(times, row["model"], row["methods"], int(float(row["batch_size"] or 0)))
        if one is None:
            left_out += 1
        else:
            cpu += own
            peer += iterations * one / 1000
    count -= unmeasured
    text = "Training: %s of a processor (%s by the clock, beside other work) for %s iterations%s." % (
        duration(all_cpu), duration(all_elapsed), format(all_iterations, ","),
        ", without %s whose processor time is not known" % (
            "the one" if unmeasured == 1 else "the %d" % unmeasured) if unmeasured else "")
    if peer > 0 and cpu > 0:
        text += " PyTorch would take about %s%s, %.1f times as long, by its times of an iteration in [performance.md](performance.md)." % (
            duration(peer), " for %d of these %d, those whose method was measured there (gradreg: %s)" % (count - left_out, count, duration(cpu))
            if left_out else "", peer / cpu)
    print(text)


if __name__ == "__main__":
    main()
