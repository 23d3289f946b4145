# Stops, crashes and what goes on after them.
start --workers 1
long=$(iterations 4 '.training.evaluate_every = 500')
id=$(submit $long '.training.evaluate_every = 500')
aside=$(submit 100000000); curl -s -X POST "$api/experiments/$aside/pause" >/dev/null
ask -H 'Idempotency-Key: life' -d "$(spec 10)" "$api/experiments"; kept=$body
curl -s -m 60 -N "$api/experiments/$id/events" >"$folder/open" & open=$!
state "$id" running
for _ in $(seq 300); do [ "$(curl -s "$api/experiments/$id" | jq .metrics.train_loss)" != null ] && break; sleep 0.05; done
before=$SECONDS
stop
equal "SIGTERM in mid-run with an open stream" "$code" 0
check "… and quickly" test $((SECONDS - before)) -le 10
wait $open; equal "the open stream ended as a whole response" $? 0
sed -i 's/^1,/9,/' "$folder/data/datasets/user/kinds.csv"
start --workers 1
problem "predictions: the data have changed" 409 "SHA-256" "$api/experiments/$kinds/predictions.csv"
state "$id" succeeded 120
equal "it resumed" "$(curl -s "$api/experiments/$id" | jq '.resumed_from_iteration > 0 and .progress.iteration == '$long)" true
undisturbed=$(curl -s "$api/experiments/$id/metrics" | jq -S .series)
id=$(submit $long '.training.evaluate_every = 500')
for _ in $(seq 300); do [ "$(curl -s "$api/experiments/$id" | jq .metrics.train_loss)" != null ] && break; sleep 0.05; done
curl -s -X POST "$api/experiments/$id/pause" >/dev/null
kill -9 $server; wait $server 2>/dev/null # whether the pause had been carried out or not
rm "$folder/data/datasets/user/kinds.csv"
start --workers 1
problem "predictions: the data are gone" 409 "$folder/data/datasets/user" "$api/experiments/$kinds/predictions.csv"
equal "paused before kill -9" "$(curl -s "$api/experiments/$id" | jq -c '[.state, .pause_requested, .worker]')" '["paused",false,null]'
equal "paused long ago" "$(curl -s "$api/experiments/$aside" | jq -r .state)" paused
ask -H 'Idempotency-Key: life' -d "$(spec 10)" "$api/experiments"; equal "a key outlives kill -9" "$status $body" "201 $kept"
curl -s -X POST "$api/experiments/$id/resume" >/dev/null
state "$id" succeeded 120
equal "after kill -9 it resumed" "$(curl -s "$api/experiments/$id" | jq '.resumed_from_iteration > 0')" true
equal "… to the same metrics" "$(curl -s "$api/experiments/$id/metrics" | jq -S .series)" "$undisturbed"
stop
equal "exit status at the end" "$code" 0
equal "nothing on stderr but the log, and nothing grave in it" \
    "$(jq -r 'select(.level == "warning" or .level == "error") | .event' "$folder/err" 2>&1)" ""
