# gradreg study: a small study of one's own from its sweep to tables and figures, and again without a second run; the
# one with a tuning before it; fits of a toy task; what is refused. The figures are XML with as many marks as there are arms.
well_formed() { # well_formed NAME FILE
    if ! command -v python3 >/dev/null; then return; fi
    check "$1" python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' "$2"
}
jq -n '{title: "Penalties <&> sizes", sweep: {name: "study of <digits>", base: {dataset: {name: "digits", validation_size: 200},
        model: {preset: "mlp", widths: [8]}, training: {iterations: 2000, batch_size: 20, evaluate_every: 1000}, analysis: {gradient_norms: {samples: 30}}},
    axes: [{name: "N", pointer: "/dataset/train_size", values: [50, 100]},
      {name: "method", values: [{label: "none", set: {}}, {label: "DataGrad: 1", set: {"/regularizers": [{type: "datagrad", weight: 1}]}},
        {label: "DataGrad: 5", set: {"/regularizers": [{type: "datagrad", weight: 5}]}}]}],
    seeds: [1, 2], baseline: {method: "none"}},
  sizes: {quick: {sweep: {base: {training: {iterations: 20, evaluate_every: 20}}}}},
  tables: [{file: "accuracy", rows: "method", columns: "N"}, {file: "measures", rows: "method", columns: "N", metrics: [
    {metric: "test_accuracy", label: "accuracy | all", percent: true}, {metric: "gradient_norm.test.mean", direction: "lower"},
    {metric: "gradient_norm.test.mean", over: "gradient_norm.train.mean", label: "gap"}, {metric: "cpu_seconds", relative: true, label: "cost"}]}],
  claims: [{claim: "it helps", better: ["N=100, DataGrad: 5", "N=100, none"]}, {claim: "more with less", more: ["N=50, DataGrad: 5", "N=50, none", "N=100, DataGrad: 5", "N=100, none"]},
    {claim: "no matter", equal: ["N=50, none", "N=50, none"]}],
  figures: [{file: "dots", kind: "dots"}, {file: "curves", kind: "curves", rows: "method", columns: "N", logarithmic: true},
    {file: "map", kind: "map", rows: "method", columns: "N"}, {file: "norms", kind: "norms", rows: "method", columns: "N"}]}' >"$folder/own.json"
output=$("$gradreg" study "$folder/own.json" --check --server "$url"); equal "study: checked" "$(sed -n 2p <<<"$output" | cut -d';' -f1)" "6 arms, 12 experiments, 24000 iterations"
out=$folder/study
output=$("$gradreg" study "$folder/own.json" --quick --server "$url" --out "$out" 2>&1); equal "study" $? 0
holds "study: progress" "$output" "12 of 12 experiments have ended"
holds "study: table" "$output" "| none |"
equal "study: files" "$(ls "$out" | tr '\n' ' ')" "accuracy.csv accuracy.md accuracy.tex claims.md curves.svg dots.svg experiments.csv map.svg measures.csv measures.md measures.tex norms.csv norms.svg norms_ratio.svg study.json "
id=$(jq -r '.sweeps[0].id' "$out/study.json")
equal "study: every experiment" "$(tail -n +2 "$out/experiments.csv" | wc -l)" 12
# A line of experiments.csv leads to the experiment that its number comes from.
line=$(sed -n 2p "$out/experiments.csv")
one=$(curl -s "$api/experiments/${line%%,*}")
equal "study: traced" "$(cut -d, -f3 <<<"$line") $(jq -r '[.sweep.id, .metrics.test_accuracy] | @csv' <<<"$one")" "$id $id,$(cut -d, -f7 <<<"${line//\"*\"/x}" | jq .)"
for figure in dots curves map norms norms_ratio; do well_formed "study: $figure" "$out/$figure.svg"; done
equal "study: means and seeds as dots" "$(grep -c '<circle' "$out/dots.svg")" $((6 + 12 + 4))
equal "study: curves, and their differences" "$(grep -o 'fill="[^"]*" fill-opacity="0.15"' "$out/curves.svg" | wc -l)" 5
equal "study: a cell for each arm" "$(grep -c '>[0-9.]*</text>' "$out/map.svg" | tr -d '\n')" $((6 + 2 + 1))
# A column for each measure: means as the server has them, ratios of an experiment's two metrics, ratios to the baseline.
equal "study: measures" "$(sed -n 1p "$out/measures.md")" '| method, N | accuracy \| all in % | gradient_norm.test.mean | gap | cost |'
equal "study: a line for each arm and measure" "$(tail -n +2 "$out/measures.csv" | wc -l)" $((6 * 4))
equal "study: every metric of a table" "$(head -n 1 "$out/experiments.csv" | grep -o 'gradient_norm[^,]*' | tr '\n' ' ')" "gradient_norm.test.mean gradient_norm.train.mean "
wanted=$(curl -s "$api/experiments?sweep=$id" | jq '[.experiments[] | select(.spec.dataset.train_size == 100 and (.spec.regularizers | length) == 1 and .spec.regularizers[0].weight == 5)
    | .metrics | ."gradient_norm.test.mean" / ."gradient_norm.train.mean" | log] | add / length | exp')
found=$(tr -d '\r' <"$out/measures.csv" | awk -F, '$1 == "DataGrad: 5" && $2 == "100" && $3 == "gap" {print $7}')
equal "study: the mean of logarithms of ratios" "$(jq -n "($wanted / ${found:-0} - 1) | fabs < 1e-9")" true
equal "study: the baseline relative to itself" "$(tr -d '\r' <"$out/measures.csv" | awk -F, '$1 == "none" && $3 == "cost" {print $7 + 0, $8 + 0, $9 + 0}' | sort -u)" "1 1 1"
# Claims: differences by seed as the table has them, differences of differences, and an arm against itself.
gains=$(curl -s "$api/sweeps/$id/table?rows=N&columns=method&format=json" | jq -c '[.cells[] | select(.column == 2) | .difference.mean * 100]')
equal "study: claims" "$(sed -n '3,5s/^| \(.*\) | [^|]* | \([-+0-9.]*\)[^|]*|[^|]*| 2 |.*/\1 \2/p' "$out/claims.md")" "$(jq -r 'def two: (if . < 0 then "-" else "+" end) as $s | fabs * 100 | round
    | "\($s)\(. / 100 | floor).\(. % 100 | tostring | if length < 2 then "0" + . else . end)"; "it helps \(.[1] | two)", "more with less \(.[0] - .[1] | two)", "no matter +0.00"' <<<"$gains")"
holds "study: nothing claimed, nothing found" "$(sed -n 5p "$out/claims.md")" "no difference shown"
# Distributions: of each experiment, norm and kind of point a line, and a median in the figure.
equal "study: norms" "$(tail -n +2 "$out/norms.csv" | wc -l)" $((12 * 3 * 5))
line=$(tr -d '\r' <"$out/norms.csv" | grep ',softmax,segments,' | sed -n 2p)
equal "study: norms, traced" "$(awk -F, '{print $(NF - 2)}' <<<"$line" | jq .)" "$(curl -s "$api/experiments/${line%%,*}/analysis" | jq '.gradient_norms | .softmax.points.segments.quantiles[.probabilities | index(0.5)]')"
equal "study: norms, medians" "$(grep -c '<circle' "$out/norms.svg") $(grep -c '<circle' "$out/norms_ratio.svg")" "$((6 * 3 * 5 * 2 + 5)) $((6 * 3 * 4 + 4))"
# Again: the server has it.
sweeps=$(curl -s "$api/sweeps?limit=200" | jq '.sweeps | length')
cp -r "$out" "$folder/before"
output=$("$gradreg" study "$folder/own.json" --quick --server "$url" --out "$out" 2>&1); equal "study: again" $? 0
holds "study: found" "$output" "has it already: sweep $id"
equal "study: no second sweep" "$(curl -s "$api/sweeps?limit=200" | jq '.sweeps | length')" "$sweeps"
check "study: the same files" diff -r -x study.json "$folder/before" "$out"
equal "study: what was trained" "$(grep -o ',mlp,[a-z+]*,20,' "$out/experiments.csv" | sort | uniq -c | tr -s ' ' | tr -d '\n')" " 4 ,mlp,,20, 8 ,mlp,loss,20,"
# PyTorch's time, by a table in which an iteration takes 2 ms, and 5 s with the penalty: 20 iterations of 4 and of 8 experiments.
# The table's mlp is another than the study's.
if command -v python3 >/dev/null; then
    estimated() { python3 ../../tools/benchmark/estimate.py "$1" "$folder/performance.md"; }
    printf '| %s | 1 | 1 | 1 | 1 %% | %s | 1× |\n' "lenet plain, batch 20" 2 "lenet datagrad, batch 20" 5000 "mlp plain, batch 20" 7 >"$folder/performance.md"
    sed 's/,mlp,/,lenet,/' "$out/experiments.csv" >"$folder/lenet.csv"
    holds "study: estimate" "$(estimated "$folder/lenet.csv")" " for 240 iterations. PyTorch would take about 13 minutes, "
    check "study: no estimate" matches "$(estimated "$out/experiments.csv")" ' for 240 iterations\.$'
    sed -i 2d "$folder/performance.md"
    holds "study: estimate of a part" "$(estimated "$folder/lenet.csv")" "about 0 s for 4 of these 12"
fi
# Tuning: of each group the best by the first sweep's metric, at each N, runs again.
jq '.sweep.metric = "validation_accuracy" | del(.sweep.baseline, .claims) | .figures = [] | .final = {axis: "method", sweep: {name: "tuned", metric: "test_accuracy",
    seeds: [7], baseline: {method: "none"},
    base: {analysis: {calibration: true}}}}' "$folder/own.json" >"$folder/tuned.json"
output=$("$gradreg" study "$folder/tuned.json" --quick --server "$url" --out "$folder/tuned" 2>&1); equal "study: tuned" $? 0
equal "study: tuned, arms" "$(jq -c '[.sweeps[1].arm_list[].levels | [.N, .method]]' "$folder/tuned/study.json")" '[["50","none"],["50","DataGrad"],["100","none"],["100","DataGrad"]]'
equal "study: tuned, measured in the end" "$(jq -c '[.sweeps[].spec.base.analysis.calibration != null]' "$folder/tuned/study.json")" "[false,true]"
while IFS=, read -r n compared winner mean; do
    [ "$compared" = '"DataGrad"' ] || continue
    weight=$(tr -d '"\r' <<<"${winner#*: }")
    equal "study: tuned, weight at $n" "$(curl -s "$api/experiments?sweep=$(jq -r '.sweeps[1].id' "$folder/tuned/study.json")" |
        jq "[.experiments[] | select(.spec.dataset.train_size == $n and (.spec.regularizers | length) == 1) | .spec.regularizers[0].weight]" -c)" "[$weight]"
    other=$(jq -r --arg w "DataGrad: $weight" --argjson n "$n" '.cells[] | select(.column == ([50, 100] | index($n)) and .row > 0) | .mean' \
        <<<"$(curl -s "$api/sweeps/$(jq -r '.sweeps[0].id' "$folder/tuned/study.json")/table?rows=method&columns=N&baseline=&format=json")" | sort -g | tail -n 1)
    equal "study: tuned, the best at $n" "$(jq -n "${mean%$'\r'} == $other")" true
done <"$folder/tuned/chosen.csv"
# Of a sweep that does not end: what has ended.
jq '.sweep.name = "half" | .sweep.seeds = [1] | .sweep.baseline = {iterations: "20"} | del(.claims, .sizes) | .sweep.base.dataset.train_size = 50
    | .sweep.axes = [{name: "iterations", pointer: "/training/iterations", values: [20, 100000000]}] | .tables = [{file: "accuracy"}]
    | .figures = [{file: "dots", kind: "dots"}]' "$folder/own.json" >"$folder/half.json"
output=$("$gradreg" study "$folder/half.json" --partial --server "$url" 2>&1); equal "study: nothing of it has ended" "$?" 1
holds "study: nothing of it has ended" "$output" 'the server has no sweep "half" of this spec'
half=$(jq .sweep "$folder/half.json" | curl -s -d @- "$api/sweeps" | jq -r .id)
for _ in $(seq 600); do [ "$(curl -s "$api/sweeps/$half" | jq -c .states.succeeded)" != 1 ] || break; sleep 0.1; done
output=$("$gradreg" study "$folder/half.json" --partial --server "$url" --out "$folder/half" 2>&1); equal "study: a part" $? 0
equal "study: of a part, experiments" "$(tail -n +2 "$folder/half/experiments.csv" | cut -d, -f6) $(jq -c '[.experiments, .sweeps[0].experiments]' "$folder/half/study.json")" "succeeded [1,2]"
holds "study: of a part, the table" "$(cat "$folder/half/accuracy.md")" "| 20 | 1 |"
well_formed "study: of a part, the figure" "$folder/half/dots.svg"
# A server that goes away is waited for.
"$gradreg" study "$folder/half.json" --server "$url" --out "$folder/half" >"$folder/waiting.out" 2>"$folder/waiting.err" &
waiting=$!
for _ in $(seq 300); do grep -q "1 of 2 experiments" "$folder/waiting.out" && break; sleep 0.1; done
stop
for _ in $(seq 300); do grep -q "^waiting for it" "$folder/waiting.err" && break; sleep 0.1; done
holds "study: waits" "$(cat "$folder/waiting.err")" "waiting for it; the sweep goes on"
start --workers 1 --listen "${url#http://}"
curl -s -X POST "$api/sweeps/$half/cancel" >/dev/null; swept "$half" cancelled
wait $waiting; equal "study: waited" "$? $(tail -n 1 "$folder/waiting.err")" \
    "1 gradreg study: 1 experiments did not succeed; the tables count them. After a retry, run the same command again"
output=$("$gradreg" study "$folder/half.json" --partial --again 2>&1); equal "study: nothing to run again in a part" "$? $(head -n 1 <<<"$output")" \
    "2 gradreg study: --partial runs nothing and makes tables: it does not go with --again"
output=$("$gradreg" study "$folder/half.json" --partial --server "$url" --out "$folder/half" 2>&1); equal "study: a cancelled part" $? 0
equal "study: of a cancelled part, experiments" "$(tail -n +2 "$folder/half/experiments.csv" | cut -d, -f6 | sort | tr '\n' ' ')" "cancelled succeeded "
# Fits of a toy task.
jq -n '{sweep: {name: "toy fits", base: {dataset: {name: "toy2", n: 30}, model: {preset: "mlp", widths: [8]}, loss: {type: "squared_error"},
      regularizers: [{type: "weight_decay", weight: 0}], training: {iterations: 20, batch_size: 10, evaluate_every: 20}},
    axes: [{name: "method", pointer: "/regularizers/0/type", values: ["datagrad", "spectreg"]}, {name: "weight", pointer: "/regularizers/0/weight", values: [0, 0.1]}],
    metric: "test_loss"},
  figures: [{file: "fits", kind: "fits", rows: "method", columns: "weight"}]}' >"$folder/toy.json"
output=$("$gradreg" study "$folder/toy.json" --server "$url" --out "$folder/toy" 2>&1); equal "study: fits" "$? $(grep -c . <<<"$output")" "0 $(grep -c . <<<"$output")"
for figure in fits fits_error; do well_formed "study: $figure" "$folder/toy/$figure.svg"; done
equal "study: a curve for each arm, the truths, the smoothers" "$(sed -n '/clipPath/,/<\/g>/p' "$folder/toy/fits.svg" | grep -c '<polyline')" $((4 + 3 + 2))
equal "study: smoothers" "$(tail -n +2 "$folder/toy/smoothers.csv" | awk -F, '$4 > 0 && $4 < 0.1' | wc -l)" 2
# What is refused.
output=$("$gradreg" study toy3 --server "$url" 2>&1); equal "study: unknown" "$? $output" '1 gradreg study: toy3: no study is called "toy3"; did you mean "toy1"?'
output=$("$gradreg" study toy1 --size tiny --server "$url" 2>&1); equal "study: no such size" "$? $output" '1 gradreg study: toy1: the study toy1 has no size "tiny"'
jq '.claims[0].better[0] = "N=100, DropGrad"' "$folder/own.json" >"$folder/bad.json"
output=$("$gradreg" study "$folder/bad.json" --quick --server "$url" --out "$folder/bad" 2>&1); holds "study: a claim of no arm" "$? $output" '/claims: the sweep has no arm "N=100, DropGrad"'
jq '.tables[1].metrics[0] = {label: "x"}' "$folder/own.json" >"$folder/bad.json"
output=$("$gradreg" study "$folder/bad.json" --quick --server "$url" --out "$folder/bad" 2>&1); equal "study: a measure without a metric" "$?" 1
holds "study: says which" "$output" '/tables: each of "metrics" has a "metric"'
jq '.figures[0].file = "../x"' "$folder/own.json" >"$folder/bad.json"
output=$("$gradreg" study "$folder/bad.json" --server "$url" 2>&1); equal "study: a file elsewhere" "$?" 1; holds "study: says so" "$output" "/figures: each has a \"file\""
holds "study: list" "$("$gradreg" study --list)" "confidence_penalty"
# Every size of a study of the paper fits its sweep (the full ones: examples.sh; two are left out for their many arms).
for file in ../../examples/paper/studies/*.json; do
    # Claims are of arms that there are.
    equal "claims of $file" "$(jq -n --slurpfile study "$file" --slurpfile sweep "../../examples/paper/$(basename "$file")" -c '[$study[0].claims[]? | .better, .equal, .more | arrays | .[]]
        - [[$sweep[0].axes[] | .name as $name | .values | map(if type == "object" then .label else "\($name)=\(.)" end)] | combinations | join(", ")]')" "[]"
    case $file in *reference_methods* | *weight_decay_map*) continue ;; esac
    for size in $(jq -r '.sizes | keys[]' "$file"); do
        body=$(jq -n --slurpfile study "$file" --slurpfile sweep "../../examples/paper/$(basename "$file")" --arg size "$size" \
            '$sweep[0] * ($study[0].sizes[$size].sweep // {}) | .base.dataset.name |= ({mnist: "digits", cifar10: "digits", cifar100: "digits"}[.] // .)')
        ask -d "$body" "$api/sweeps?validate_only=true"
        equal "study $file, $size" "$status $(jq -r '.detail, (.errors[]? | .pointer + ": " + .detail)' <<<"$body")" "200 null"
    done
done
