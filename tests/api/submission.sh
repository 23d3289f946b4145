# What is wrong with a spec, all at once; and nothing of it is stored.
before=$(curl -s "$api/experiments?limit=1" | jq .experiments[0].id)
problem "no body" 400 "JSON" -X POST "$api/experiments"
problem "not JSON" 400 "line 1" -d '{"dataset": }' "$api/experiments"
problem "cut off" 400 "JSON" -d '{"dataset": {' "$api/experiments"
problem "two documents" 400 "JSON" -d '{} {}' "$api/experiments"
problem "bad UTF-8" 400 "UTF-8" -d $'{"name": "\xff"}' "$api/experiments"
problem "no object" 422 "errors" -d '[]' "$api/experiments"
problem "deep" 400 "JSON" -d "$(printf '[%.0s' $(seq 1000))" "$api/experiments"
problem "misspelt" 422 'did you mean \"dataset\"' -d '{"datset": {"name": "digits"}, "model": {"preset": "mlp"}}' "$api/experiments"
equal "misspelt: pointers" "$(jq -c '[.errors[].pointer] | sort' <<<"$body")" '["/dataset","/datset"]'
problem "two at once" 422 "2 problems" -d "$(spec 50 '.seed = -1 | .training.batch_size = "x"')" "$api/experiments"
equal "two at once: pointers" "$(jq -c '[.errors[].pointer] | sort' <<<"$body")" '["/seed","/training/batch_size"]'
problem "does not fit, in three places" 422 "3 problems" -d "$(spec 50 '.training.batch_size = 501 | .training.clip_norm = 1 | .training.clip_value = 1 | .schedule = {type: "exponential", staircase: true}')" "$api/experiments"
equal "three places at once" "$(jq -c '[.errors[].pointer]' <<<"$body")" '["/schedule/every","/training/clip_value","/training/batch_size"]'
problem "does not fit the data" 422 "/training/batch_size" -d "$(spec 50 '.training.batch_size = 501')" "$api/experiments"
problem "huge batch" 422 "/training/batch_size" -d "$(spec 50 '.training.batch_size = 1000000000')" "$api/experiments"
problem "kernel larger than its input" 422 "/model/layers/0" -d "$(spec 50 '.model = {layers: [{type: "conv2d", filters: 2, kernel: 99, padding: 0}, {type: "flatten"}, {type: "linear", units: 10}]}')" "$api/experiments"
problem "missing data set" 422 "gradreg data fetch mnist" -d "$(spec 50 '.dataset = {name: "mnist"}')" "$api/experiments"
problem "larger than the memory" 422 "/training/batch_size" -d "$(spec 50 '.dataset.train_size = 50000 | .training.batch_size = 50000 | .model = {layers: [{type: "conv2d", filters: 4096, kernel: 3}, {type: "batchnorm"}, {type: "flatten"}, {type: "linear", units: 10}]}')" "$api/experiments"
problem "twice the same" 422 "/regularizers/1/type" -d "$(spec 50 '.regularizers = [{type: "l1", weight: 1}, {type: "l1", weight: 2}]')" "$api/experiments"
# a model to start from: of an experiment that has one, and that fits
problem "start from nothing" 422 "there is no experiment 999" -d "$(spec 50 '.init_from = 999')" "$api/experiments"
problem "start from a file" 422 "/init_from" -d "$(spec 50 '.init_from = "/etc/passwd"')" "$api/experiments"
problem "start from another shape" 422 "1.weight" -d "$(spec 50 '.init_from = 1 | .model.widths = [17]')" "$api/experiments"
rested=$(submit 1 '.init_from = 1 | .optimizer = {type: "sgd", learning_rate: 1e-30} | .schedule = {type: "constant"}')
state "$rested" succeeded
equal "starts from that model" "$(curl -s "$api/experiments/$rested" | jq .metrics.test_accuracy)" \
    "$(curl -s "$api/experiments/1" | jq .metrics.test_accuracy)"
before=$rested
problem "content type" 415 "text/plain" -H "Content-Type: text/plain" -d "$(spec 50)" "$api/experiments"
problem "content encoding" 415 "gzip" -H "Content-Encoding: gzip" -d "$(spec 50)" "$api/experiments"
problem "validate_only" 400 "true or false" -d "$(spec 50)" "$api/experiments?validate_only=yes"
problem "validate a bad one" 422 "/seed" -d "$(spec 50 '.seed = 1.5')" "$api/experiments?validate_only=true"
ask -d "$(spec 50)" "$api/experiments?validate_only=true"
equal "validate" "$status $(jq -c '[.valid, .spec.seed, .estimate.parameters, .estimate.iterations]' <<<"$body")" '200 [true,1,12730,50]'
equal "nothing was stored" "$(curl -s "$api/experiments?limit=1" | jq .experiments[0].id)" "$before"
# the canonical spec is a spec again, and its own canonical form
canonical=$(curl -s "$api/experiments/1" | jq -c .spec)
ask -d "$canonical" "$api/experiments?validate_only=true"
equal "canonical" "$(jq -c .spec <<<"$body")" "$canonical"
for type in "" "application/json" "application/json; charset=utf-8" "application/merge-patch+json"; do
    ask -H "Content-Type: $type" -d "$(spec 50)" "$api/experiments?validate_only=true"
    equal "content type \"$type\"" "$status" 200
done
