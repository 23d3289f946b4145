# Analyses: the same numbers by the server and by "gradreg run", kept and found.
wanted='{gradient_norms: {samples: 100}, robustness: {attack: "fgsm", epsilons: [0.1], samples: 50}, calibration: true, transitions: {paths: 2, points: 60}, lipschitz: true, input_gradients: {count: 2}}'
id=$(submit 60 ".analysis = $wanted"); state "$id" succeeded
ask "$api/experiments/$id/analysis"; equal "analysis" "$status" 200
holds "analysis: type" "$headers" "Content-Type: application/json"
analysis=$body
equal "analysis: settings" "$(jq -c .settings.robustness <<<"$body")" \
    '{"attack":"fgsm","epsilons":[0.1],"units":"standardized","samples":50,"steps":10,"step_size":null,"random_start":true,"clip":true}'
equal "analysis: members" "$(jq -r 'keys | join(" ")' <<<"$body")" "calibration gradient_norms input_gradients iteration lipschitz robustness settings transitions"
equal "analysis: link" "$(curl -s "$api/experiments/$id" | jq -r .links.analysis)" "/api/v1/experiments/$id/analysis"
spec 60 ".analysis = $wanted" >"$folder/analysed.json"
"$gradreg" run "$folder/analysed.json" --data-dir "$folder/data" --analysis "$folder/analysis.json" >/dev/null 2>&1; equal "analysis: run" $? 0
equal "analysis: the same by run" "$(cat "$folder/analysis.json")" "$analysis"
curl -s "$api/experiments/$id/model.safetensors" >"$folder/analysed.safetensors"
equal "analysis: the same of the model" "$("$gradreg" analyse "$folder/analysed.safetensors" --data-dir "$folder/data")" "$analysis"
# Summaries are metrics.
curl -s "$api/experiments/$id" | jq .metrics >"$folder/part"
equal "analysis: robustness" "$(jq '.["robustness.fgsm.0.1"]' "$folder/part")" "$(jq '.robustness.fgsm.accuracy[0]' <<<"$analysis")"
equal "analysis: ece" "$(jq '.["calibration.ece"]' "$folder/part")" "$(jq .calibration.ece <<<"$analysis")"
equal "analysis: median" "$(jq '.["gradient_norm.test.median"]' "$folder/part")" "$(jq '.gradient_norms.loss.points.test.quantiles[5]' <<<"$analysis")"
equal "analysis: accuracy" "$(jq .calibration.accuracy <<<"$analysis")" "$(jq .test_accuracy "$folder/part")"
replay=$(curl -s -X POST "$api/experiments/$id/replay" | jq .id); state "$replay" succeeded
equal "analysis: replay" "$(curl -s "$api/experiments/$replay" | jq .replay.identical)" true
equal "analysis: of the replay" "$(curl -s "$api/experiments/$replay/analysis")" "$analysis"
# None, not yet, and what does not fit.
plain=$(submit 60); state "$plain" succeeded
problem "analysis: none" 404 "gradreg analyse" "$api/experiments/$plain/analysis"
equal "analysis: no link" "$(curl -s "$api/experiments/$plain" | jq .links.analysis)" null
equal "analysis: a spec without is as it was" "$(curl -s "$api/experiments/$plain" | jq '.spec | has("analysis")')" false
running=$(submit 100000000 '.analysis = {calibration: true}'); state "$running" running
problem "analysis: not yet" 404 "once it has succeeded" "$api/experiments/$running/analysis"
curl -s -X POST "$api/experiments/$running/cancel" >/dev/null; state "$running" cancelled
problem "analysis: does not fit" 422 "/analysis/function" -d "$(spec 60 '.analysis = {function: true}')" "$api/experiments"
# One that takes long ends with its experiment.
long=$(submit 10 '.training.batch_size = 10 | .analysis = {robustness: {samples: null, steps: 1000}}'); state "$long" running
for _ in $(seq 300); do [ "$(curl -s "$api/experiments/$long" | jq .progress.fraction)" != 1 ] || break; sleep 0.05; done
curl -s -X POST "$api/experiments/$long/cancel" >/dev/null; state "$long" cancelled 20
ask -X DELETE "$api/experiments/$replay"; equal "analysis: delete" "$status" 204
problem "analysis: in the trash" 404 "undelete it" "$api/experiments/$replay/analysis"
