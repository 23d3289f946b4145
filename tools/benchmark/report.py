"""From results to the table, for a terminal or as Markdown."""

COLUMNS = ("what", "ms", "GFLOP/s", "sgemm", "share", "PyTorch ms", "ratio", "required", "")


def number(value, digits=3):
    if value is None:
        return ""
    return f"{value:.{digits}g}" if abs(value) < 100 else f"{value:.0f}"


def requirement(row):
    parts = []
    required = row.get("required", {})
    if "ratio" in required:
        parts.append(f"≥ {required['ratio']:.3g}×")
    if "share" in required:
        parts.append(f"≥ {100 * required['share']:.0f} %")
    if "mebibytes" in required:
        parts.append(f"< {required['mebibytes']} MiB")
    if "added" in required:
        parts.append(f"< {100 * required['added']:.0f} % more")
    return ", ".join(parts)


def cells(row):
    met = {True: "met", False: "MISSED", None: ""}[row.get("met")]
    share, ratio = row.get("share"), row.get("ratio")
    what = row["name"] + (f" ({row['note']})" if row.get("note") else "")
    return (what, number(row.get("ms")), number(row.get("gflops")), number(row.get("sgemm_gflops")),
            f"{100 * share:.0f} %" if share is not None else "", number(row.get("peer_ms")),
            f"{ratio:.2f}×" if ratio is not None else "", requirement(row), met)


def groups(rows):
    """Rows by group, in order."""
    found = {}
    for row in rows:
        found.setdefault(row["group"], []).append(row)
    return found.items()


TITLES = {
    "kernels": "Kernels against sgemm",
    "methods": "Training iterations, LeNet, batch 50",
    "others": "The other methods, LeNet, batch 50",
    "batches": "Batch sizes",
    "nets": "Other nets",
    "avx2": "AVX2 kernels against sgemm with AVX2",
    "workers": "Two workers",
    "evaluation": "Evaluation",
    "growth": "Growth of the cost",
    "memory": "Memory of a training, beside the data set",
    "service": "Through the server",
    "spec": "The given specs",
}


def text(heading, rows, unmeasured):
    lines = [heading]
    table = [cells(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *table)]

    def line(values):
        first, *others = values
        aligned = [first.ljust(widths[0])] + [v.rjust(w) for v, w in zip(others, widths[1:])]
        return "  ".join(aligned).rstrip()
    for group, members in groups(rows):
        lines += ["", TITLES.get(group, group), line(COLUMNS)] + [line(cells(row)) for row in members]
    if unmeasured:
        lines += ["", "Not measured:"] + [f"- {what}: {why}" for what, why in unmeasured]
    return "\n".join(lines)


def markdown(heading, rows, unmeasured):
    lines = [heading]
    for group, members in groups(rows):
        lines += ["", f"### {TITLES.get(group, group)}", "", "| " + " | ".join(COLUMNS) + " |",
                  "|---|" + "--:|" * (len(COLUMNS) - 2) + "---|"]
        lines += ["| " + " | ".join(cells(row)) + " |" for row in members]
    if unmeasured:
        lines += ["", "### Not measured", ""] + [f"- {what}: {why}" for what, why in unmeasured]
    return "\n".join(lines)
