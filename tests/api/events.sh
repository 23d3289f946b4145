# Event streams. events FILE NAME: the data lines of the events of that name
events() { awk -v name="event: $2" '$0 == name {on = 1} on && /^data: / {print substr($0, 7)} /^$/ {on = 0}' "$1"; }
# a finished experiment: the record, the rows, the end
curl -s -m 20 -D "$folder/headers" "$api/experiments/1/events" >"$folder/events"
equal "the stream of a finished one ends by itself" $? 0
holds "stream: type" "$(cat "$folder/headers")" "Content-Type: text/event-stream"
equal "stream: record" "$(events "$folder/events" experiment | jq -c '[.id, .state]')" '[1,"succeeded"]'
equal "stream: rows" "$(events "$folder/events" metrics | jq -c '[.id, .iteration]' | tr '\n' ' ')" '[1,50] [1,100] [1,150] [1,200] [1,250] [1,300] '
equal "stream: values" "$(events "$folder/events" metrics | jq -sc '[.[] | [.iteration, .values.train_loss]]')" \
    "$(curl -s "$api/experiments/1/metrics" | jq -c .series.train_loss)"
equal "stream: end" "$(events "$folder/events" end)" '{"id":1,"state":"succeeded"}'
holds "stream: retry" "$(cat "$folder/events")" "retry: "
check "stream: id" grep -q '^id: [0-9][0-9]*$' "$folder/events"
# live: one stream for all, one for a new experiment
curl -s -m 60 -N "$api/events" >"$folder/all" & all=$!
for _ in $(seq 200); do grep -q '^retry: ' "$folder/all" && break; sleep 0.1; done
id=$(submit 400)
curl -s -m 60 -N "$api/experiments/$id/events" >"$folder/one"
equal "live stream ends" $? 0
equal "live: last state" "$(events "$folder/one" experiment | tail -1 | jq -r .state)" succeeded
equal "live: rows" "$(events "$folder/one" metrics | jq -s '[.[].iteration] | unique | length')" 8
# a row that comes later for the same iteration has it told again, with more in it: never as it was
equal "live: rows in their order, each once" "$(events "$folder/one" metrics | jq -sc '[.[].iteration] as $told | [$told == ($told | sort), (unique | length) == length]')" "[true,true]"
equal "live: the test point comes before the end" "$(events "$folder/one" metrics | jq -s 'map(select(.values.test_accuracy)) | length >= 1')" true
for _ in $(seq 200); do events "$folder/all" experiment | grep -q '"id":'$id',.*"succeeded"' && break; sleep 0.1; done
kill $all; wait $all 2>/dev/null
# (a worker may take it before the stream has told that it is queued: records are told as they are by then)
equal "all: states" "$(events "$folder/all" experiment | jq -rs 'map(select(.id == '$id').state) | unique - ["queued"] | join(" ")')" "running succeeded"
equal "all: rows" "$(events "$folder/all" metrics | jq -s '[.[] | select(.id == '$id').iteration] | unique | length')" 8
# what happened while a client was away
last=$(sed -n 's/^id: //p' "$folder/all" | tail -1)
away=$(submit 100)
state "$away" succeeded
for how in header query; do
    if [ $how == header ]; then option=(-H "Last-Event-ID: $last" "$api/events"); else option=("$api/events?last_event_id=$last"); fi
    curl -s -m 2 -N "${option[@]}" >"$folder/replay"
    equal "replay by $how: state" "$(events "$folder/replay" experiment | jq -sc 'map([.id, .state])')" "[[$away,\"succeeded\"]]"
    equal "replay by $how: rows" "$(events "$folder/replay" metrics | jq -sc 'map([.id, .iteration])')" "[[$away,50],[$away,100]]"
done
curl -s -m 1 -N "$api/events" >"$folder/fresh"
equal "a fresh stream tells nothing old" "$(grep -c '^event:' "$folder/fresh")" 0
problem "bad last_event_id" 400 "last_event_id" "$api/events?last_event_id=x"
for place in events experiments/1/events; do problem "bad Last-Event-ID: $place" 400 "Last-Event-ID" -H "Last-Event-ID: nonsense" "$api/$place"; done
curl -s -m 20 -H "Last-Event-ID: $last" "$api/experiments/1/events" >"$folder/again"
equal "a stream of one begins with the whole of it, whatever was seen" "$(events "$folder/again" metrics)" "$(events "$folder/events" metrics)"
# cancel and delete are told
curl -s -m 60 -N "$api/events" >"$folder/all" & all=$!
sleep 0.3
id=$(submit 100000000)
state "$id" running
problem "no model yet" 404 "succeeded" "$api/experiments/$id/model.safetensors"
problem "delete of a running one" 409 "running" -X DELETE "$api/experiments/$id"
# progress comes a few times a second: cancelling at once could leave none to tell
for _ in $(seq 300); do grep -q "^event: progress" "$folder/all" && break; sleep 0.1; done
waiting=$(submit 100)
ask -X POST "$api/experiments/$waiting/cancel"; equal "cancel of a queued one" "$status $(jq -r .state <<<"$body")" "200 cancelled"
ask -X POST "$api/experiments/$id/cancel"; equal "cancel of a running one" "$status" 200
state "$id" cancelled 10
ask -X DELETE "$api/experiments/$id"; equal "delete of a cancelled one" "$status" 204
for _ in $(seq 50); do grep -q '^event: deleted' "$folder/all" && break; sleep 0.1; done
kill $all; wait $all 2>/dev/null
equal "deletion is told" "$(events "$folder/all" deleted)" "{\"id\":$id}"
curl -s -m 2 -N -H "Last-Event-ID: $last" "$api/events" >"$folder/replay"
equal "deletion is told to who was away" "$(events "$folder/replay" deleted)" "{\"id\":$id}"
equal "cancelling is told" "$(events "$folder/all" experiment | jq -rs 'map(select(.id == '$id').state) | last')" cancelled
equal "progress is told" "$(events "$folder/all" progress | jq -s 'map(select(.id == '$id')) | length > 0 and (.[0] | has("iteration") and has("iterations") and has("fraction") and has("iterations_per_second") and has("eta_seconds"))')" true
# clients that leave are noticed
for _ in $(seq 10); do curl -s -m 0.2 -N "$api/events" >/dev/null; done
for _ in $(seq 50); do open=$(curl -s "$api/server" | jq .event_streams); [ "$open" == 0 ] && break; sleep 0.1; done
equal "no stream is left open" "$open" 0
