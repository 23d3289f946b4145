# What each route answers when nothing is wrong.
ask "$url/healthz"; equal healthz "$status $body" '200 {"status":"ok"}'
ask "$url/readyz"; equal readyz "$status $body" '200 {"status":"ok"}'
ask "$api/server"
equal server "$(jq -r '[.version, .engine_version, .kernels, .blas_kernel, .workers, .uptime_seconds, .experiments.queued] | map(type) | join(" ")' <<<"$body")" \
    "string string string string number number number"
equal "server: data_dir" "$(jq -r .data_dir <<<"$body")" "$folder/data"
ask "$api/workers"; equal workers "$(jq -r '.workers | length' <<<"$body")" 1
ask "$api/presets"
equal presets "$(jq -c keys <<<"$body")" '["analysis","augmentation","calibration","dataset","early_stopping","experiment","function","gradient_norms","input_gradients","layer","lipschitz","loss","model","optimizer","regularizer","robustness","schedule","training","transitions"]'
equal "presets: options" "$(jq -r '.optimizer[] | select(.name == "adam") | .options | map(.name) | index("learning_rate") != null' <<<"$body")" true
ask "$api/experiments"; equal "empty list" "$body" '{"experiments":[],"next_cursor":null}'
# the dashboard
ask "$url/"; equal dashboard "$status" 200
holds "dashboard: type" "$headers" "Content-Type: text/html; charset=utf-8"
holds "dashboard: policy" "$headers" "Content-Security-Policy: default-src 'self'"
holds "dashboard: sniffing" "$headers" "X-Content-Type-Options: nosniff"
[[ "$headers" != *unsafe-inline* ]] && pass || fail "the policy allows inline scripts"
etag=$(sed -n 's/^ETag: //p' <<<"$headers")
ask -H "If-None-Match: $etag" "$url/"; equal "dashboard: unchanged" "$status$body" 304
ask -I "$url/"; equal "dashboard: HEAD" "$status" 200
script=$(curl -s "$url/" | grep -o 'src="[^"]*\.js"' | head -1 | cut -d'"' -f2)
ask "$url/${script#/}"; holds "script: type" "$headers" "text/javascript"
for place in / "/${script#/}"; do
    problem "POST $place" 405 "GET, HEAD, OPTIONS" -d x "$url$place"; holds "POST $place: Allow" "$headers" "Allow: GET, HEAD, OPTIONS"
    ask -X OPTIONS "$url$place"; equal "OPTIONS $place" "$status $(sed -n 's/^Allow: //p' <<<"$headers")" "204 GET, HEAD, OPTIONS"
done
problem "POST to nothing" 404 "nothing" -d x "$url/nothing"
problem "POST to nothing of the API" 404 "nothing" -d x "$api/nothing"
# submit, look, list
ask -d "$(spec 300)" "$api/experiments"
equal "submit: status" "$status" 201
holds "submit: location" "$headers" "Location: /api/v1/experiments/1"
# (a worker may have it already)
equal "submit: object" "$(jq -c '[.id, .name, .tags, (.state | sub("running"; "queued")), .spec.seed, .spec.optimizer.type, .progress.iterations, .links.self, .links.model, .error]' <<<"$body")" \
    '[1,"digits, plain",{"group":"test"},"queued",1,"adam",300,"/api/v1/experiments/1",null,null]'
equal "submit: members" "$(jq -c '(["id","name","tags","notes","priority","state","spec","progress","metrics","best","attempt","resumed_from_iteration","worker","error","created_at","started_at","finished_at","elapsed_seconds","links"] - keys)' <<<"$body")" '[]'
state 1 succeeded
ask "$api/experiments/1"
equal "finished: object" "$(jq -c '[.progress.iteration, .progress.fraction, .progress.eta_seconds, .attempt, .resumed_from_iteration, .worker, .error, .links.model]' <<<"$body")" \
    '[300,1,null,1,0,null,null,"/api/v1/experiments/1/model.safetensors"]'
equal "finished: metrics" "$(jq '.metrics | .test_accuracy > 0.15 and .validation_accuracy > 0.15 and .train_loss > 0' <<<"$body")" true
equal "finished: times" "$(jq '.created_at <= .started_at and .started_at <= .finished_at and (.finished_at | test("^20..-..-..T..:..:..\\....Z$"))' <<<"$body")" true
etag=$(sed -n 's/^ETag: //p' <<<"$headers")
ask -H "If-None-Match: $etag" "$api/experiments/1"; equal "experiment: unchanged" "$status$body" 304
ask -I "$api/experiments/1"; equal "experiment: HEAD" "$status" 200
ask -X OPTIONS "$api/experiments/1"; equal "experiment: OPTIONS" "$status" 204
holds "experiment: Allow" "$headers" "Allow: GET, HEAD, PATCH, DELETE, OPTIONS"
ask "$api/experiments/1/metrics"
equal "metrics" "$(jq -c '[.experiment, (.series.train_loss | length), .series.train_loss[0][0], .series.test_accuracy[-1][0]]' <<<"$body")" '[1,6,50,300]'
ask "$api/experiments/1/metrics?name=train_loss&after=150&max_points=2"
equal "metrics: part" "$(jq -c '[(.series | keys), (.series.train_loss | map(.[0]))]' <<<"$body")" '[["train_loss"],[200,300]]'
ask "$api/experiments/1/metrics?max_points=4"
equal "metrics: points" "$(jq '[.series[] | length] | max <= 4' <<<"$body")" true
ask "$api/experiments/1/metrics?name=penalty.7"; equal "metrics: no such series" "$(jq -c .series <<<"$body")" '{}'
problem "metrics: no such name" 400 'did you mean \"test_accuracy\"?' "$api/experiments/1/metrics?name=test_acuracy"
curl -s -D "$folder/headers" -o "$folder/model" "$api/experiments/1/model.safetensors"
holds "model: disposition" "$(cat "$folder/headers")" 'attachment; filename="experiment-1.safetensors"'
length=$(od -An -tu8 -N8 "$folder/model" | tr -d ' ')
equal "model: header" "$(tail -c +9 "$folder/model" | head -c "$length" | jq -c '."0.weight".shape // ."1.weight".shape')" '[16,784]'
# lists and cursors
for _ in 1 2 3 4; do submit 50 >/dev/null; done
state 5 succeeded
ask "$api/experiments?limit=2"
equal "page 1" "$(jq -c '.experiments | map(.id)' <<<"$body")" '[5,4]'
ask -G -d limit=2 --data-urlencode "cursor=$(jq -r .next_cursor <<<"$body")" "$api/experiments"
equal "page 2" "$(jq -c '.experiments | map(.id)' <<<"$body")" '[3,2]'
ask -G -d limit=2 --data-urlencode "cursor=$(jq -r .next_cursor <<<"$body")" "$api/experiments"
equal "page 3" "$(jq -c '[(.experiments | map(.id)), .next_cursor]' <<<"$body")" '[[1],null]'
ask "$api/experiments?limit=5"; equal "a page that is just full" "$(jq -c .next_cursor <<<"$body")" null
ask "$api/experiments?state=failed"; equal "by state" "$(jq -c .experiments <<<"$body")" '[]'
ask "$api/experiments?state=succeeded&fields=id,state"
equal "fields" "$(jq -c '.experiments[0]' <<<"$body")" '{"id":5,"state":"succeeded"}'
# delete
ask -X DELETE "$api/experiments/5"; equal "delete" "$status$body" 204
problem "deleted" 404 "experiment 5" "$api/experiments/5"
ask "$api/experiments"; equal "list without it" "$(jq -c '.experiments | map(.id)' <<<"$body")" '[4,3,2,1]'
