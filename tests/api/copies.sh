# What is made of another experiment, and what a repeated request makes: clone, replay, reuse, Idempotency-Key.
id=$(submit 200 '.seed = 77 | .name = null'); state "$id" succeeded
# -- clone
ask -X POST "$api/experiments/$id/clone"
equal "clone" "$status $(jq -c '[.cloned_from, .state == "queued" or .state == "running", .replay]' <<<"$body")" "201 [$id,true,null]"
holds "clone: location" "$headers" "Location: /api/v1/experiments/$((id + 1))"
equal "clone: the same spec" "$(jq -c .spec <<<"$body")" "$(curl -s "$api/experiments/$id" | jq -c .spec)"
ask -H "Content-Type: application/merge-patch+json" -d '{"seed": 78, "optimizer": {"type": "sgd"}, "regularizers": [{"type": "l1", "weight": 0.5}], "tags": {"group": null, "other": "x"}}' "$api/experiments/$id/clone?validate_only=true"
equal "clone with a patch" "$status $(jq -c '.spec | [.seed, .optimizer.type, .optimizer.learning_rate, .tags, .training.iterations]' <<<"$body")" \
    '200 [78,"sgd",0.001,{"other":"x"},200]'
holds "clone: a name of its own" "$(jq -r .spec.name <<<"$body")" "l1 0.5"
ask -d '{"model": {"layers": [{"type": "flatten"}, {"type": "linear", "units": 10}]}}' "$api/experiments/$id/clone?validate_only=true"
equal "clone: preset to layers" "$status $(jq -c '.spec.model.layers | length' <<<"$body")" "200 2"
problem "clone: bad patch" 422 "/optimizer/type" -d '{"optimizer": {"type": "smart"}}' "$api/experiments/$id/clone"
problem "clone: no object" 422 "merge patch" -d '[1]' "$api/experiments/$id/clone"
problem "clone: twice" 422 "given twice" -d '{"seed": 1, "seed": 2}' "$api/experiments/$id/clone"
problem "clone: not JSON" 400 "line 1" -d '{' "$api/experiments/$id/clone"
problem "clone of nothing" 404 "experiment 9999" -X POST "$api/experiments/9999/clone"
# -- replay
ask -X POST "$api/experiments/$id/replay"
replay=$(jq .id <<<"$body")
equal "replay" "$status $(jq -c '[.replay, .tags]' <<<"$body")" "201 [{\"of\":$id,\"identical\":null,\"first_differing_iteration\":null,\"differences\":[]},{}]"
state "$replay" succeeded
equal "replay: identical" "$(curl -s "$api/experiments/$replay" | jq -c .replay)" "{\"of\":$id,\"identical\":true,\"first_differing_iteration\":null,\"differences\":[]}"
queued=$(submit 100000000)
problem "replay of what has not ended" 409 "to compare a replay with" -X POST "$api/experiments/$queued/replay"
curl -s -X POST "$api/experiments/$queued/cancel" >/dev/null; state "$queued" cancelled
problem "replay of what was cancelled" 409 "is cancelled" -X POST "$api/experiments/$queued/replay"
# -- reuse
again() { spec 200 '.seed = 77 | .name = "another name" | .tags = {}'; }
ask -d "$(again)" "$api/experiments?reuse=true"
equal "reuse" "$status $(jq -c '[.id, .state]' <<<"$body")" "200 [$replay,\"succeeded\"]"
ask -d "$(again | jq '.seed = 79')" "$api/experiments?reuse=true"
equal "reuse: another seed" "$status" 201
ask -d "$(again)" "$api/experiments"; equal "without reuse" "$status" 201
problem "reuse: neither" 400 "true or false" -d "$(again)" "$api/experiments?reuse=1"
# -- estimates: by what has been measured, which takes runs of at least 0.05 s
id=$(submit 2000 '.seed = 81'); state "$id" succeeded
ask -d "$(again)" "$api/experiments?validate_only=true"
equal "estimate" "$(jq -c '.estimate | [.seconds > 0, .seconds_from.experiments > 0, .seconds_from.same_cost, .operations == .iteration_operations * 200, .memory_bytes > 50000]' <<<"$body")" \
    '[true,true,true,true,true]'
equal "estimate: of a submission" "$(curl -s "$api/experiments/$(submit 50 '.seed = 82')" | jq -c '.estimate | [.memory_bytes > 0, .operations > 0, .seconds > 0]')" '[true,true,true]'
# -- Idempotency-Key
count() { curl -s "$api/server" | jq '[.experiments[]] | add'; }
before=$(count)
ask -H 'Idempotency-Key: "first-1"' -d "$(spec 50 '.seed = 80')" "$api/experiments"
first=$body; equal "key" "$status" 201
ask -H 'Idempotency-Key: first-1' -d "$(spec 50 '.seed = 80')" "$api/experiments"
equal "key again: the same answer" "$status $body" "201 $first"
holds "key again: said so" "$headers" "Idempotency-Replayed: true"
holds "key again: location" "$headers" "Location: /api/v1/experiments/$(jq .id <<<"$first")"
equal "key: one experiment" "$(count)" $((before + 1))
problem "key with another body" 422 "belongs to another request" -H 'Idempotency-Key: first-1' -d "$(spec 50 '.seed = 81')" "$api/experiments"
problem "key with another query" 422 "belongs to another request" -H 'Idempotency-Key: first-1' -d "$(spec 50 '.seed = 80')" "$api/experiments?reuse=true"
problem "key with another route" 422 "belongs to another request" -H 'Idempotency-Key: first-1' -X POST "$api/experiments/$id/clone"
problem "key that is none" 400 "1 to 255" -H 'Idempotency-Key: a b' -d "$(spec 50)" "$api/experiments"
problem "key: empty" 400 "1 to 255" -H 'Idempotency-Key: ""' -d "$(spec 50)" "$api/experiments"
problem "key of a bad spec" 422 "/seed" -H 'Idempotency-Key: second' -d "$(spec 50 '.seed = -1')" "$api/experiments"
ask -H 'Idempotency-Key: second' -d "$(spec 50 '.seed = 1')" "$api/experiments"; equal "key of a refused request is free" "$status" 201
ask -H 'Idempotency-Key: third' -X POST "$api/experiments/$id/replay"; third=$body
ask -H 'Idempotency-Key: third' -X POST "$api/experiments/$id/replay"; equal "key of a replay" "$body" "$third"
# many at once: one experiment, and nobody is told anything else. (Reading its data takes the first one a while.)
before=$(count)
mkdir -p "$folder/data/datasets/user"
awk 'BEGIN { print "x,kind"; for (i = 0; i < 400000; i++) print i % 7 + 0.125 "," (i % 2 ? "odd" : "even") }' >"$folder/data/datasets/user/many.csv"
many=$(spec 50 '.seed = 82 | .dataset = {name: "csv", file: "many.csv", label: "kind", train_size: 100, validation_size: 100}')
for i in $(seq 12); do
    curl -s -o "$folder/key.$i" -w '%{http_code}\n' -H 'Idempotency-Key: many' -d "$many" "$api/experiments" >"$folder/code.$i" & keys[i]=$!
done
wait "${keys[@]}"
equal "key: many at once" "$(cat "$folder"/code.* | sort -u | grep -cvE '^(201|409)$')" 0
equal "key: many at once, one experiment" "$(count)" $((before + 1))
# -- webhooks are refused where no host is allowed
problem "webhook without a list" 400 "webhook_hosts" -d "$(spec 50)" "$api/experiments?webhook=http://127.0.0.1:9/"
problem "webhook: no URL" 400 "http or https" -d "$(spec 50)" "$api/experiments?webhook=ftp://example.org/"
