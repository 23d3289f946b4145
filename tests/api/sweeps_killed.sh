# Sweeps and kill -9. A sweep is stored as a whole or not at all, whenever the server is killed; halving goes on where it was.
kill_server() { { kill -9 $server; wait $server; } 2>/dev/null; }
start --workers 1
halving=$(jq -n '{name: "killed", base: {dataset: {name: "digits", train_size: 100, validation_size: 100}, model: {preset: "mlp", widths: [8]},
    training: {iterations: 160, batch_size: 20, evaluate_every: 10, checkpoint_every: 10}},
    axes: [{pointer: "/training/batch_size", values: [range(10; 19)]}], strategy: {type: "asha", minimum_iterations: 20, reduction_factor: 2}}')
curl -s -d "$halving" "$api/sweeps" >"$folder/sweep.answer" &
posting=$!
sleep 0.0$((RANDOM % 9))
kill_server; wait $posting; server=
start --workers 1
answered=$(jq -r '.id // empty' "$folder/sweep.answer" 2>/dev/null)
ask "$api/sweeps"
equal "kill -9: no part of a sweep" "$(jq -c '[.sweeps[] | select(.name == "killed") | [.arms, .experiments] == [9, 9]] | all' <<<"$body")" true
[ -z "$answered" ] || equal "kill -9: what was answered is there" "$(jq -c --argjson id "$answered" '[.sweeps[].id] | index($id) != null' <<<"$body")" true
killed=${answered:-$(curl -s -d "$halving" "$api/sweeps" | jq -r .id)}
for _ in 1 2 3; do
    sleep 0.$((RANDOM % 5 + 2))
    kill_server; server=
    start --workers 1
done
for _ in $(seq 600); do
    now=$(curl -s "$api/sweeps/$killed" | jq -r .state)
    [ "$now" != finished ] || break
    sleep 0.1
done
ask "$api/sweeps/$killed"
# (Where the server starts slowly, three kills may come before an experiment's next checkpoint: then it has failed, be it the best.)
equal "kill -9: halving ends" "$(jq -c '[.state, .states.succeeded >= 1 or .states.failed >= 1, .states.succeeded + .states.cancelled + .states.failed, ([.rungs[] | select(.rung == 0)] | length)]' <<<"$body")" '["finished",true,9,9]'
stop
