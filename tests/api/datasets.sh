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
problem "predict: too large" 422 "/inputs/1" -d "$(jq -c '{inputs: [.inputs[0], (.inputs[0] | .[0] = 1e39)]}' "$folder/inputs")" "$api/experiments/1/predict"
problem "predict: nothing" 422 "1 to 1000" -d '{"inputs": []}' "$api/experiments/1/predict"
problem "predict: another member" 422 "/images" -d '{"images": [[1]]}' "$api/experiments/1/predict"
problem "predict: not JSON" 400 "line 1" -d '{"inputs"' "$api/experiments/1/predict"
problem "predict: nobody" 404 "experiment 9999" -d '{"inputs": [[1]]}' "$api/experiments/9999/predict"
id=$(submit 100000000)
problem "predict: no model yet" 409 "once it has succeeded" -d '{"inputs": [[1]]}' "$api/experiments/$id/predict"
curl -s -X POST "$api/experiments/$id/cancel" >/dev/null; state "$id" cancelled

# files of one's own
printf 'a,b,kind\n' >"$folder/table.csv"; for i in $(seq 40); do echo "$i,$((i % 7)),k$((i % 2))"; done >>"$folder/table.csv"
# bring NAME [CURL-ARGUMENT…]: sends the file $sent
bring() { local name; name=$(jq -rn --arg n "$1" '$n | @uri'); shift; ask "$@" -H 'Content-Type: text/csv' --data-binary "@$sent" "$api/datasets?name=$name"; }
sent=$folder/table.csv
bring "my table.csv"
equal "file: made" "$status $(jq -c '[.name, .bytes, .sha256, .link]' <<<"$body")" \
    "201 [\"my table.csv\",$(stat -c %s "$sent"),\"$(sha256sum <"$sent" | cut -d' ' -f1)\",\"/api/v1/datasets/my%20table.csv\"]"
holds "file: where it is" "$headers" "Location: /api/v1/datasets/my%20table.csv"
made=$body
bring "my table.csv"; equal "file: the same again" "$status $body" "200 $made"
bring "my table.csv" -H "Transfer-Encoding: chunked"; equal "file: in chunks" "$status $body" "200 $made"
ask "$url$(jq -r .link <<<"$made")"; equal "file: looked at" "$status $body" "200 $made"
ask "$api/datasets"; equal "file: listed" "$(jq -c '.files[] | select(.name == "my table.csv")' <<<"$body")" "$(jq -c 'del(.sha256)' <<<"$made")"
ask -G --data-urlencode 'options={"file": "my table.csv", "label": "kind"}' "$api/datasets/csv"
equal "file: read" "$status $(jq -c '[.classes, .training_samples + .test_samples]' <<<"$body")" "200 [2,40]"
first=$(jq -r .sha256 <<<"$body")
sent=$folder/other.csv; sed 's/^1,/-1,/' "$folder/table.csv" >"$sent"
problem "file: other content" 409 "with other content" -H 'Content-Type: text/csv' --data-binary "@$sent" "$api/datasets?name=my%20table.csv"
: >"$folder/empty"
problem "file: empty" 400 "empty" -H 'Content-Type: text/csv' --data-binary "@$folder/empty" "$api/datasets?name=x.csv"
problem "file: without a name" 400 '\"name\" is missing' --data-binary "@$sent" "$api/datasets"
for name in ../x.csv .x a/b %0Ax; do problem "file: the name $name" 400 "no slashes" --data-binary "@$sent" "$api/datasets?name=$name"; done
problem "file: a data set's name" 400 "name of a data set" --data-binary "@$sent" "$api/datasets?name=mnist"
problem "file: a form" 415 "bytes of one file" -F "file=@$sent" "$api/datasets?name=x.csv"
problem "file: compressed" 415 "identity" -H 'Content-Encoding: gzip' --data-binary "@$sent" "$api/datasets?name=x.csv"
problem "file: of another origin" 403 "another origin" -H 'Origin: http://elsewhere.example' --data-binary "@$sent" "$api/datasets?name=x.csv"
problem "file: of another origin, waiting to be asked" 403 "another origin" -H 'Expect: 100-continue' -H 'Origin: http://elsewhere.example' --data-binary "@$sent" "$api/datasets?name=x.csv"
truncate -s 536870913 "$folder/large.npy"
problem "file: too large" 413 "536870912" -H 'Expect: 100-continue' -T "$folder/large.npy" -X POST "$api/datasets?name=x.npy"
truncate -s 3000000 "$folder/large.npy"; sent=$folder/large.npy; bring "large.npy"
equal "file: larger than any other body" "$status $(jq .bytes <<<"$body")" "201 3000000"
# what stands for a training that will read it
id=$(curl -s -d "$(spec 100000000 '.dataset = {name: "csv", file: "my table.csv", label: "kind"} | .training.batch_size = 4')" "$api/experiments" | jq .id)
problem "file: needed" 409 "cancel them first (the oldest is $id)" -X DELETE "$api/datasets/my%20table.csv"
curl -s -X POST "$api/experiments/$id/cancel" >/dev/null; state "$id" cancelled
ask -X DELETE "$api/datasets/my%20table.csv"; equal "file: removed" "$status $body" "204 "
problem "file: gone" 404 "lists them" "$api/datasets/my%20table.csv"
problem "file: removed before" 404 "no data file" -X DELETE "$api/datasets/my%20table.csv"
problem "file: what no file can be called" 404 "lists them" -X DELETE "$api/datasets/..%2Fsecret"
problem "file: a data set" 409 "none of your files" -X DELETE "$api/datasets/digits"
problem "file: gone for specs too" 404 "there is no" -G --data-urlencode 'options={"file": "my table.csv", "label": "kind"}' "$api/datasets/csv"
# another file of that name is another data set
sent=$folder/other.csv; bring "my table.csv"; equal "file: another of that name" "$status" 201
ask -G --data-urlencode 'options={"file": "my table.csv", "label": "kind"}' "$api/datasets/csv"
check "file: nothing is left of the other" test "$status" = 200 -a "$(jq -r .sha256 <<<"$body")" != "$first"
id=$(curl -s -d "$(spec 50 '.dataset = {name: "csv", file: "my table.csv", label: "kind"} | .training.batch_size = 4')" "$api/experiments" | jq .id); state "$id" succeeded
equal "file: trained with what is there now" "$(curl -s "$api/experiments/$id" | jq -r .data_hash)" "$(jq -r .sha256 <<<"$body")"
equal "file: nothing is left behind" "$(ls -A "$folder/data/datasets/receiving")" ""
