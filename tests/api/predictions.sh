# Predictions: as many right as the metrics say, the same as those of the command, and what is refused.
curl -s -m 60 -D "$folder/headers" -o "$folder/predictions" "$api/experiments/1/predictions.csv"
equal "predictions: curl" $? 0
headers=$(tr -d '\r' <"$folder/headers")
holds "predictions: type" "$headers" "Content-Type: text/csv"
holds "predictions: disposition" "$headers" 'attachment; filename="experiment-1-test.csv"'
# right FILE: the share of right classes, as JSON
right() { awk -F, 'NR > 1 { n++; if ($2 == $3) r++; if (($2 == $3) != $4) exit 1 } END { printf "%.17g", r / n }' "$1" | jq .; }
metric() { curl -s "$api/experiments/1" | jq ".metrics.$1"; }
equal "predictions: columns" "$(head -1 "$folder/predictions" | cut -d, -f1-6,14,15,24)" \
    "index,label,predicted,correct,probability.0,probability.1,probability.9,logit.0,logit.9"
equal "predictions: each test sample once" "$(tail -n +2 "$folder/predictions" | cut -d, -f1 | sort -n | uniq | wc -l)" 10000
equal "predictions: test" "$(right "$folder/predictions")" "$(metric test_accuracy)"
for split in train validation; do
    curl -s -m 60 "$api/experiments/1/predictions.csv?split=$split" >"$folder/part"
    equal "predictions: $split" "$(right "$folder/part")" "$(metric ${split}_accuracy)"
done
equal "predictions: validation samples" "$(wc -l <"$folder/part")" 201
# the command, with the model that was downloaded
"$gradreg" predict "$folder/model" --out "$folder/by-command"; equal "predict" $? 0
check "predict: the same bytes" cmp "$folder/predictions" "$folder/by-command"
equal "predictions: link" "$(curl -s "$api/experiments/1" | jq -r .links.predictions)" "/api/v1/experiments/1/predictions.csv"
ask -I "$api/experiments/1/predictions.csv"; equal "predictions: HEAD" "$status" 200
problem "predictions: bad split" 400 "train, validation or test" "$api/experiments/1/predictions.csv?split=all"
problem "predictions: unknown parameter" 400 "split" "$api/experiments/1/predictions.csv?part=test"
# clients that leave in the middle leave nothing behind: four of them, where two are computed at once
for _ in 1 2 3 4; do
    curl -s -m 10 "$api/experiments/1/predictions.csv?split=test" 2>/dev/null | head -c 100 >"$folder/part"
    for _ in $(seq 50); do
        ask "$api/experiments/1/predictions.csv?split=validation"; [ "$status" == 503 ] || break; sleep 0.1
    done
    equal "predictions: after a client has left" "$status" 200
done
# clients that read slowly (more than the sockets' buffers hold) do not hold up others
large=$(submit 1 '.dataset.train_size = 50000')
state "$large" succeeded
for part in slow slow2; do
    rm -f "$folder/$part.headers"
    curl -s -m 60 --limit-rate 100k -D "$folder/$part.headers" "$api/experiments/$large/predictions.csv?split=train" >"$folder/$part" & eval "$part=$!"
done
for part in slow slow2; do
    for _ in $(seq 200); do [ -s "$folder/$part.headers" ] && break; sleep 0.1; done
done
problem "predictions: too many at once" 503 "2 models" "$api/experiments/1/predictions.csv"
holds "predictions: when to try again" "$headers" "Retry-After: "
ask -m 2 "$url/healthz"; equal "predictions: others are answered meanwhile" "$status" 200
kill $slow $slow2; wait $slow $slow2 2>/dev/null
# without a model
id=$(submit 100000000)
problem "predictions: no model yet" 409 "once it has succeeded" "$api/experiments/$id/predictions.csv"
curl -s -X POST "$api/experiments/$id/cancel" >/dev/null
state "$id" cancelled
problem "predictions: never a model" 409 "cancelled" "$api/experiments/$id/predictions.csv"
# data of the user's own: the names of classes (life.sh changes them)
mkdir -p "$folder/data/datasets/user"
awk 'BEGIN { print "x,kind"; for (i = 0; i < 40; i++) print i % 7 "," (i % 2 ? "\"odd, very\"" : "even") }' >"$folder/data/datasets/user/kinds.csv"
id=$(submit 5 '.dataset = {name: "csv", file: "kinds.csv", label: "kind"} | .training.batch_size = 4')
state "$id" succeeded
ask "$api/experiments/$id/predictions.csv"
holds "predictions: names of classes" "$body" '"odd, very"'
kinds=$id
