"""From rows to the table, for a terminal or as Markdown."""

COLUMNS = ("what", "clients", "per second", "processor ms", "p50 ms", "p99 ms", "result", "required", "", "note")
MIB = 1 << 20


def figure(value):
    if value is None:
        return ""
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"


def result(row):
    if "slowed" in row:
        return f"{100 * row['slowed']:.1f} %"
    if "missing" in row:
        return f"{row['missing']} missing"
    if "resident_bytes" in row:
        return f"{row['resident_bytes'] / MIB:.0f} MiB, {row['grown_bytes'] / MIB:+.1f}"
    if "count" in row:
        return f"{row['count']:.0f} of {row['answers']:,.0f}"
    return ""


def requirement(row):
    forms = {"p99_ms": "p99 < {} ms", "per_second": "≥ {} a second", "missing": "none missing", "count": "none"}
    for name, value in row["required"].items():
        if name in forms:
            return forms[name].format(value)
        if name == "slowed":
            return f"< {100 * value:.0f} %"
        return f"< {value / MIB:.0f} MiB more"
    return ""


def cells(row):
    met = {True: "met", False: "MISSED", None: ""}[row["met"]]
    return (row["name"], str(row.get("clients", "")), figure(row.get("per_second")), figure(row.get("processor_ms")),
            figure(row.get("p50_ms")), figure(row.get("p99_ms")), result(row), requirement(row), met, row["note"])


def text(heading, rows):
    table = [cells(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *table)]

    def line(values):
        first, *others, note = values
        aligned = [first.ljust(widths[0])] + [v.rjust(w) for v, w in zip(others, widths[1:])]
        return "  ".join(aligned + [note]).rstrip()
    return "\n".join([*heading, "", line(COLUMNS), *map(line, table)])


def markdown(heading, rows):
    lines = [*heading, "", "| " + " | ".join(COLUMNS) + " |", "|---|" + "--:|" * (len(COLUMNS) - 3) + "---|---|"]
    return "\n".join(lines + ["| " + " | ".join(cells(row)) + " |" for row in rows])
