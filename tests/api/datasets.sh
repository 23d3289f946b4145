# Data sets: which there are, what they hold, samples as numbers and as a sheet of pictures; inputs of one's own.
ask "$api/datasets"
equal "datasets" "$status $(jq -c '[.datasets[] | select(.name == "mnist" or .name == "digits" or .name == "csv") | .state]' <<<"$body")" '200 ["not fetched","generated","your files"]'
ask "$api/datasets/digits"
equal "data set" "$(jq -c '[.input_shape, .classes, .targets, .training_samples, .test_samples, (.sha256 | length)]' <<<"$body")" '[[1,28,28],10,null,60000,10000,64]'
equal "data set: as with the experiment" "$(jq -r .sha256 <<<"$body")" "$(curl -s "$api/experiments/1" | jq -r .data_hash)"
ask -G --data-urlencode 'options={"n": 20, "data_seed": 3}' "$api/datasets/toy1"
equal "data set: options" "$(jq -c '[.options.n, .targets, .classes, .knows_derivatives]' <<<"$body")" '[20,1,null,true]'
problem "data set: none" 404 "lists them" "$api/datasets/imagenet"
problem "data set: not fetched" 404 "gradreg data fetch mnist" "$api/datasets/mnist"
problem "data set: options not JSON" 400 "line 1" -G --data-urlencode 'options={' "$api/datasets/toy1"
problem "data set: options no object" 422 "JSON object" -G --data-urlencode 'options=[1]' "$api/datasets/toy1"
problem "data set: bad option" 422 "/n" -G --data-urlencode 'options={"n": 0}' "$api/datasets/toy1"
problem "data set: a file outside" 400 "plain name" -G --data-urlencode 'options={"file": "../../secret.csv", "label": "x"}' "$api/datasets/csv"
ask "$api/datasets/digits/samples?split=test&from=3&limit=2"
equal "samples" "$(jq -c '[.split, (.samples | length), .samples[0].index, (.samples[0].input | length), (.samples[0].label | type), ([.samples[].input[]] | min >= 0 and max <= 1)]' <<<"$body")" '["test",2,3,784,"number",true]'
ask -G --data-urlencode 'options={"n": 20}' "$api/datasets/toy1/samples?limit=500"
equal "samples: of a regression" "$(jq -c '[(.samples | length), (.samples[0].target | length), (.samples[0] | has("label"))]' <<<"$body")" '[500,1,false]'
problem "samples: beyond the end" 400 "the last one is 9999" "$api/datasets/digits/samples?split=test&from=10000"
problem "samples: split" 400 "training or test" "$api/datasets/digits/samples?split=all"
problem "samples: format" 400 "json or png" "$api/datasets/digits/samples?format=gif"
problem "samples: options" 422 "/n" -G --data-urlencode 'options={"n": -1}' "$api/datasets/toy1/samples"
problem "samples: no data set" 404 "lists them" "$api/datasets/imagenet/samples"
problem "samples: no pictures" 400 "format=json" "$api/datasets/toy1/samples?format=png"
curl -s -D "$folder/headers" -H "Accept: image/png" -o "$folder/sheet.png" "$api/datasets/digits/samples?limit=20&columns=5"
holds "sheet: type" "$(cat "$folder/headers")" "image/png"
equal "sheet: size" "$(od -An -tu1 -j16 -N8 "$folder/sheet.png" | tr -s ' ')" " 0 0 0 148 0 0 0 118"
# what the trained model answers for test samples that are posted is what predictions.csv says of them
curl -s "$api/datasets/digits/samples?split=test&limit=30" | jq -c '{inputs: [.samples[].input]}' >"$folder/inputs"
ask -d @"$folder/inputs" "$api/experiments/1/predict"
equal "predict" "$status $(jq -c '[.experiment, (.predictions | length), (.predictions[0] | keys)]' <<<"$body")" '200 [1,30,["class","outputs","probabilities"]]'
equal "predict: as predictions.csv" "$(jq -r '.predictions[].class' <<<"$body" | tr '\n' ' ')" \
    "$(curl -s "$api/experiments/1/predictions.csv" | tail -n +2 | sort -t, -n | head -30 | cut -d, -f3 | tr '\n' ' ')"
equal "predict: probabilities" "$(jq '[.predictions[].probabilities | add | (. - 1) * 1e6 | fabs] | max < 1' <<<"$body")" true
jq -c '{inputs: [.inputs[] | [[.[0:392], .[392:784]]]]}' "$folder/inputs" >"$folder/nested"; before=$body
ask -d @"$folder/nested" "$api/experiments/1/predict"; equal "predict: nested lists" "$body" "$before"
problem "predict: too few numbers" 422 "/inputs/1" -d "$(jq -c '{inputs: [.inputs[0], [1, 2]]}' "$folder/inputs")" "$api/experiments/1/predict"
problem "predict: no numbers" 422 "/inputs/0" -d '{"inputs": [["a"]]}' "$api/experiments/1/predict"
problem "predict: nothing" 422 "1 to 1000" -d '{"inputs": []}' "$api/experiments/1/predict"
problem "predict: another member" 422 "/images" -d '{"images": [[1]]}' "$api/experiments/1/predict"
problem "predict: not JSON" 400 "line 1" -d '{"inputs"' "$api/experiments/1/predict"
problem "predict: nobody" 404 "experiment 9999" -d '{"inputs": [[1]]}' "$api/experiments/9999/predict"
id=$(submit 100000000)
problem "predict: no model yet" 409 "once it has succeeded" -d '{"inputs": [[1]]}' "$api/experiments/$id/predict"
curl -s -X POST "$api/experiments/$id/cancel" >/dev/null; state "$id" cancelled
