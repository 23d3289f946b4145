# Sweeps: submission, what is refused, tables in every form, actions, seeds, successive halving, "until".
sweep() { # sweep [JQ-EDIT]
    jq -n '{name: "penalties", base: {dataset: {name: "digits", train_size: 200, validation_size: 200},
        model: {preset: "mlp", widths: [8]}, optimizer: {type: "adam"},
        training: {iterations: 40, batch_size: 50, evaluate_every: 10}, analysis: {calibration: true}},
        axes: [{name: "method", pointer: "/regularizers", values: [{label: "none", value: []},
            {label: "DataGrad, 1", value: [{type: "datagrad", weight: 1}]}]},
          {pointers: ["/training/batch_size", "/optimizer/learning_rate"], name: "batch", values: [
            {label: "small", value: [20, 0.001]}, {label: "large", value: [50, 0.002]}]}],
        repeats: 3, baseline: {method: "none"}} | '"${1:-.}"
}
# swept ID WANTED: waits until the sweep is in that state
swept() {
    local now=
    for _ in $(seq 600); do
        now=$(curl -s "$api/sweeps/$1" | jq -r .state)
        [ "$now" != "$2" ] || { pass; return; }
        sleep 0.1
    done
    fail "sweep $1 is $now, not $2" "$(curl -s "$api/sweeps/$1" | jq -c .states)"
}
ask "$api/sweeps"; equal "no sweeps" "$body" '{"sweeps":[],"next_cursor":null}'
before=$(curl -s "$api/experiments?limit=1" | jq -c '.experiments[0].id')
ask -d "$(sweep)" "$api/sweeps?validate_only=true"
equal "sweep: checked" "$status $(jq -c '[.estimate.arms, .estimate.experiments, .estimate.iterations]' <<<"$body")" '200 [4,12,480]'
canonical=$(jq -c .spec <<<"$body")
ask -d "$canonical" "$api/sweeps?validate_only=true"
equal "sweep: canonical again" "$(jq -c .spec <<<"$body")" "$canonical"
# Several things wrong, each with its place.
problem "sweep: not JSON" 400 "line 1" -d '{"base":' "$api/sweeps"
problem "sweep: nothing in it" 422 "/axes" -d '{}' "$api/sweeps"
problem "sweep: problems" 422 "repeats" -d "$(sweep '.repeat = 2 | .base.seed = 1 | .axes[0].values[1].value[0].weight = -1 | .axes[1].values[0].value[0] = 0')" "$api/sweeps"
equal "sweep: places" "$(jq -c '[.errors[].pointer]' <<<"$body")" '["/repeat","/base/seed"]'
problem "sweep: arms" 422 "weight" -d "$(sweep '.axes[0].values[1].value[0].weight = -1 | .axes[1].values[0].value[0] = 0')" "$api/sweeps"
equal "sweep: places of arms" "$(jq -c '[.errors[].pointer] | unique' <<<"$body")" \
    '["/axes/0/values/1/value/0/weight","/axes/1/values/0"]'
problem "sweep: base" 422 "/base/model" -d "$(sweep 'del(.base.model)')" "$api/sweeps"
equal "sweep: said once" "$(jq -c '.errors | length' <<<"$body")" 1
problem "sweep: seed as an axis" 422 "seeds" -d "$(sweep '.axes[0].pointer = "/seed"')" "$api/sweeps"
problem "sweep: pointer" 422 "JSON Pointer" -d "$(sweep '.axes[0].pointer = "dataset"')" "$api/sweeps"
problem "sweep: twice" 422 "two values called" -d "$(sweep '.axes[0].values[1].label = "none"')" "$api/sweeps"
problem "sweep: overwritten" 422 "overwrites" -d "$(sweep '.axes[1] = {name: "o", pointer: "/regularizers", values: [1]}')" "$api/sweeps"
problem "sweep: too many" 422 "at most" -d "$(sweep '.repeats = 9999')" "$api/sweeps"
problem "sweep: no such baseline" 422 "/baseline/method" -d "$(sweep '.baseline.method = "x"')" "$api/sweeps"
problem "sweep: range in a grid" 422 "samples" -d "$(sweep '.axes[1] = {pointer: "/optimizer/learning_rate", range: {minimum: 0.1, maximum: 1}}')" "$api/sweeps"
ask -d "$(sweep '.axes[0] = {name: "method", values: [{label: "none", set: {}}, {label: "DataGrad", set: {"/regularizers/-": {type: "datagrad", weight: 1}}}]}')" "$api/sweeps?validate_only=true"
equal "sweep: a list that the base does not have" "$status" 200
problem "sweep: until without cap" 422 "maximum_repeats" -d "$(sweep '.until = {width: 0.1}')" "$api/sweeps"
problem "sweep: a misspelt metric" 422 'did you mean \"test_accuracy\"' -d "$(sweep '.metric = "test_acuracy"')" "$api/sweeps"
problem "sweep: a metric that no rung knows" 422 "at the rungs" -d "$(sweep 'del(.baseline) | .metric = "test_loss" | .strategy = {type: "asha", minimum_iterations: 10}')" "$api/sweeps"
problem "sweep: confidence" 422 "from 0.5" -d "$(sweep '.confidence = 0.01')" "$api/sweeps"
for strategy in grid asha; do
    ask -d "$(jq -n --arg strategy $strategy '{base: {dataset: {name: "toy1", n: 50}, model: {preset: "mlp", widths: [4]}, loss: {type: "squared_error"},
        training: {iterations: 20, batch_size: 10}}, axes: [{pointer: "/model/widths", values: [[3], [4]]}],
        strategy: (if $strategy == "asha" then {type: "asha", minimum_iterations: 5} else "grid" end)}')" "$api/sweeps?validate_only=true"
    equal "sweep: what a regression is compared by, $strategy" "$(jq -r .spec.metric <<<"$body")" "$([ $strategy = asha ] && echo validation_loss || echo test_loss)"
done
problem "sweep: halving" 422 "minimum_iterations" -d "$(sweep 'del(.baseline) | .strategy = "asha"')" "$api/sweeps"
equal "sweep: nothing was stored" "$(curl -s "$api/experiments?limit=1" | jq -c '.experiments[0].id')" "$before"
# One that runs.
ask -d "$(sweep)" "$api/sweeps"
equal "sweep: submitted" "$status $(jq -c '[.id, .arms, .experiments]' <<<"$body")" '201 [1,4,12]'
holds "sweep: location" "$headers" "Location: /api/v1/sweeps/1"
swept 1 finished
ask "$api/experiments?sweep=1&limit=100&fields=sweep,spec"
equal "sweep: pairs" "$(jq -c '[.experiments[] | select(.sweep.seed != .spec.seed)] | length' <<<"$body") $(jq -c '[.experiments[].sweep | [.arm, .seed]] | unique | length' <<<"$body")" '0 12'
ask -G "$api/experiments" --data-urlencode 'filter=sweep = 1 AND arm = 2' -d fields=arm -d limit=1; equal "list: the arm as a field" "$status $(jq -c '.experiments' <<<"$body")" '200 [{"arm":2}]'
ask -G "$api/experiments" --data-urlencode 'filter=sweep = 1 AND arm = 2' -d fields=sweep
equal "sweep: the experiments of an arm" "$(jq -c '[.experiments[].sweep | [.arm, .seed]] | sort' <<<"$body")" '[[2,1],[2,2],[2,3]]'
ask "$api/sweeps/1/table?columns=batch"
equal "table: form" "$(jq -c '[.rows.labels, .columns.labels, (.cells | length), .tests]' <<<"$body")" '[["none","DataGrad, 1"],["small","large"],4,2]'
equal "table: verdicts" "$(jq -c '[.cells[] | .verdict == "baseline" or (.difference.pairs == 3 and .difference.p_holm >= .difference.p)] | all' <<<"$body")" true
equal "table: the mean is that of the experiments" "$(jq -c '.cells[0] | (.values | map(.[1]) | add / 3) - .mean | fabs < 1e-15' <<<"$body")" true
equal "table: the difference" "$(jq -c '(.cells[2].mean - .cells[0].mean) - .cells[2].difference.mean | fabs < 1e-12' <<<"$body")" true
ask "$api/sweeps/1/table?format=csv"; holds "table: csv" "$body" '"DataGrad, 1, small",,3,'
holds "table: csv type" "$headers" "text/csv"
ask -H "Accept: text/markdown" "$api/sweeps/1/table"; holds "table: markdown" "$body" "| none, small | 3 |"
ask "$api/sweeps/1/table?format=latex&columns=batch"; holds "table: latex" "$body" "\\begin{tabular}{lrr}"
problem "table: axis" 400 "no axis" "$api/sweeps/1/table?rows=nothing"
problem "table: mixed" 400 "both name" "$api/sweeps/1/table?rows=method&columns=method"
problem "table: baseline" 400 "baseline" "$api/sweeps/1/table?baseline=method:x"
problem "table: metric" 400 "metric" "$api/sweeps/1/table?metric="
problem "table: format" 400 "latex" "$api/sweeps/1/table?format=pdf"
problem "table: confidence" 400 "confidence" "$api/sweeps/1/table?confidence=95"
problem "table: none" 404 "sweep 99" "$api/sweeps/99/table"
ask "$api/sweeps/1/table?metric=calibration.ece"; equal "table: a summary of an analysis" "$(jq -c '[.cells[] | .n == 3 and .mean > 0] | all' <<<"$body")" true
problem "table: no such metric" 400 'did you mean \"test_accuracy\"' "$api/sweeps/1/table?metric=test_acuracy"
ask "$api/sweeps/1/table?metric=robustness.fgsm.0.1&format=markdown"; holds "table: no value is no divergence" "$body" "| 0 (+3 without a value) |"
holds "table: said below it" "$body" "Without 12 that succeeded and have no finite value"
ask -H "Accept: text/csv;q=0.1, text/markdown;q=0.2" "$api/sweeps/1/table"; holds "table: what is preferred" "$headers" "text/markdown"
for type in "text/csv;q=0, application/json" "*/*" "text/*;q=0.2, */*;q=0.5" "image/png"; do
    ask -H "Accept: $type" "$api/sweeps/1/table"; holds "table: Accept: $type" "$headers" "application/json"
done
ask -H "Accept: text/*" "$api/sweeps/1/table"; holds "table: any text" "$headers" "text/csv"
ask "$api/sweeps/1/table?metric=robustness.fgsm.0.1"
equal "table: a metric that nobody has" "$(jq -c '[.cells[] | [.n, .not_finite, .mean]] | unique' <<<"$body")" '[[0,3,null]]'
for action in cancel pause resume retry; do problem "sweep: $action of none" 404 "sweep 99" -X POST "$api/sweeps/99/$action"; done
problem "sweep: seeds of none" 404 "sweep 99" -d '{"repeats": 1}' "$api/sweeps/99/seeds"
problem "sweep: a body that nobody reads" 400 "leave it out" -d '{"states": "failed"}' "$api/sweeps/1/retry"
for action in cancel pause; do problem "sweep: $action what has ended" 409 "has ended" -X POST "$api/sweeps/1/$action"; done
problem "sweep: retry what succeeded" 409 "tried again" -X POST "$api/sweeps/1/retry"
problem "sweep: delete none" 404 "sweep 99" -X DELETE "$api/sweeps/99"
problem "sweep: no such" 404 "positive integer" "$api/sweeps/x"
problem "sweep: resume what goes on" 409 "not paused" -X POST "$api/sweeps/1/resume"
# More seeds: only the new ones run.
ask -d '{"repeats": 1}' "$api/sweeps/1/seeds"; equal "seeds: added" "$status $(jq -c .experiments <<<"$body")" '200 16'
ask -d '{"seeds": [4, 17]}' "$api/sweeps/1/seeds"; equal "seeds: those that are new" "$status $(jq -c .experiments <<<"$body")" '200 20'
problem "seeds: one twice" 422 "the seed 60 is there twice" -d '{"seeds": [61, 60, 60]}' "$api/sweeps/1/seeds"
problem "seeds: what" 422 "repeats" -d '{"repeat": 1}' "$api/sweeps/1/seeds"
swept 1 finished
ask "$api/sweeps/1/table"; equal "seeds: in the table" "$(jq -c '[.cells[].n] | unique' <<<"$body")" '[5]'
# Pause, resume, cancel, retry, delete.
ask -d "$(sweep '.base.training.iterations = 200000 | .repeats = 2')" "$api/sweeps"; id=$(jq -r .id <<<"$body")
ask -X POST "$api/sweeps/$id/pause"; equal "sweep: pause" "$status" 200
swept "$id" paused
problem "sweep: paused already" 409 "paused" -X POST "$api/sweeps/$id/pause"
problem "sweep: delete" 409 "cancel" -X DELETE "$api/sweeps/$id"
problem "sweep: seeds while paused" 409 "resume it first" -d '{"repeats": 1}' "$api/sweeps/$id/seeds"
ask -X POST "$api/sweeps/$id/resume"; equal "sweep: resume" "$status" 200
ask -X POST "$api/sweeps/$id/cancel"; equal "sweep: cancel" "$status" 200
swept "$id" cancelled
problem "sweep: cancelled already" 409 "cancelled" -X POST "$api/sweeps/$id/cancel"
problem "sweep: no seeds any more" 409 "cancelled" -d '{"repeats": 1}' "$api/sweeps/$id/seeds"
problem "sweep: retry" 400 "cancelled" -X POST "$api/sweeps/$id/retry?states=succeeded"
ask -X POST "$api/sweeps/$id/retry?states=cancelled"; equal "sweep: retried" "$(jq -c '.states.queued + .states.running' <<<"$body")" 8
ask -X POST "$api/sweeps/$id/cancel"; swept "$id" cancelled
ask -X DELETE "$api/sweeps/$id"; equal "sweep: deleted" "$status" 204
problem "sweep: gone" 404 "sweep $id" "$api/sweeps/$id"
ask -d "{\"action\": \"undelete\", \"filter\": \"sweep = $id\"}" "$api/experiments/actions"; equal "sweep: undeleted" "$(jq -c '[.done, .refused]' <<<"$body")" '[8,0]'
ask "$api/sweeps/$id"; equal "sweep: back" "$status $(jq -r '[.state, .experiments] | join(" ")' <<<"$body")" "200 cancelled 8"
ask -X DELETE "$api/sweeps/$id"; equal "sweep: deleted again" "$status" 204
# Successive halving: 9 arms, a third of each rung goes on, one reaches the end.
ask -d "$(sweep 'del(.baseline) | .base.training.iterations = 200 | .repeats = 1 | .axes = [{pointer: "/optimizer/learning_rate",
    range: {minimum: 0.0001, maximum: 0.1, scale: "log"}}] | .strategy = {type: "asha", samples: 9, minimum_iterations: 10}')" "$api/sweeps"
id=$(jq -r .id <<<"$body")
swept "$id" finished
ask "$api/sweeps/$id"
# A third of those who have come may go on: later ones may be better than who has gone already.
equal "halving: rungs" "$(jq -c '[.rungs | group_by(.rung)[] | length] | [length, .[0], .[1] >= 3 and .[1] <= 6, .[3] >= 1]' <<<"$body")" '[4,9,true,true]'
equal "halving: iterations of the rungs" "$(jq -c '[.rungs | group_by(.rung)[] | [.[0].iterations, .[0].last]]' <<<"$body")" '[[10,false],[30,false],[90,false],[200,true]]'
equal "halving: the best three have gone on" "$(jq -c '[.rungs[] | select(.rung == 0)] | (sort_by([-.value, .sequence])[:3] | map(.promoted) | all)' <<<"$body")" true
equal "halving: ends" "$(jq -c '[.states.succeeded >= 1, .states.succeeded + .states.cancelled]' <<<"$body")" '[true,9]'
problem "halving: no second try" 409 "halves" -X POST "$api/sweeps/$id/retry"
problem "halving: no seeds" 409 "halves" -d '{"repeats": 1}' "$api/sweeps/$id/seeds"
# Until the interval is narrow, or the cap is reached.
ask -d "$(sweep '.repeats = 2 | .axes = [.axes[0]] | .until = {width: 0.000001, of: "difference", maximum_repeats: 4}')" "$api/sweeps"
id=$(jq -r .id <<<"$body")
swept "$id" finished
ask "$api/sweeps/$id"; equal "until: the cap" "$(jq -c '[.experiments, .note]' <<<"$body")" '[8,"1 interval is wider than asked for after 4 seeds, the most that was allowed"]'
ask "$api/sweeps?limit=2"; equal "sweeps: page" "$(jq -c '[.sweeps[].id]' <<<"$body")" '[4,3]'
ask -G -d limit=2 --data-urlencode "cursor=$(jq -r .next_cursor <<<"$body")" "$api/sweeps"; equal "sweeps: next page" "$(jq -c '[[.sweeps[].id], .next_cursor]' <<<"$body")" '[[1],null]'
# The command.
sweep '.repeats = 2' >"$folder/sweep.json"
output=$("$gradreg" sweep "$folder/sweep.json" --server "$url" 2>&1); equal "gradreg sweep" $? 0
holds "gradreg sweep: progress" "$output" "8 of 8 experiments have ended"
holds "gradreg sweep: table" "$output" "| DataGrad, 1, small | 2 |"
id=$(sed -n 's/^sweep \([0-9]*\): .*/\1/p' <<<"$output")
output=$("$gradreg" sweep "$id" --server "$url" --format latex --columns batch --statistic median 2>&1); holds "gradreg sweep ID" "$output" "\\bottomrule"
output=$("$gradreg" sweep "$folder/sweep.json" --server "$url" --check 2>&1); holds "gradreg sweep --check" "$output" "4 arms, 8 experiments"
output=$(sweep '.repeats = 0' | "$gradreg" sweep - --server "$url" 2>&1); equal "gradreg sweep: refused" $? 1
holds "gradreg sweep: why" "$output" "/repeats: a whole number from 1"
output=$("$gradreg" sweep "$id" --server "$url" --baseline method:x 2>&1); holds "gradreg sweep: table refused" "$output" 'no arm has method "x"'
output=$("$gradreg" sweep "$folder/none.json" --server "$url" 2>&1); holds "gradreg sweep: no file" "$output" "No such file"
# With an Idempotency-Key: once, whatever happens.
ask -H "Idempotency-Key: sweep-1" -d "$(sweep '.repeats = 1 | .axes = [.axes[0]]')" "$api/sweeps"
keyed=$body; count=$(curl -s "$api/sweeps?limit=500" | jq '.sweeps | length'); equal "sweep: key" "$status $(jq -c '[.experiments, .progress.fraction, .rungs, (.arm_list | length)]' <<<"$body")" '201 [2,0,[],2]'
ask -H "Idempotency-Key: sweep-1" -d "$(sweep '.repeats = 1 | .axes = [.axes[0]]')" "$api/sweeps"
equal "sweep: key again" "$status $body" "201 $keyed"
holds "sweep: key again, said so" "$headers" "Idempotency-Replayed: true"
holds "sweep: key again, location" "$headers" "Location: /api/v1/sweeps/$(jq .id <<<"$keyed")"
equal "sweep: key, made once" "$(curl -s "$api/sweeps?limit=500" | jq '.sweeps | length')" "$count"
problem "sweep: key with another body" 422 "belongs to another request" -H "Idempotency-Key: sweep-1" -d "$(sweep)" "$api/sweeps"
problem "sweep: key of an experiment" 422 "belongs to another request" -H "Idempotency-Key: sweep-1" -d "$(spec 50)" "$api/experiments"
