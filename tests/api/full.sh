# A full disk, made by the limit of a file's size on the running server: each route that stores answers 507 and stores nothing,
# reading goes on, and all is well when there is space again.
command -v prlimit >/dev/null || fail "prlimit (util-linux) is missing"
data=$folder/full
secret=$("$gradreg" token create all --scope admin --data-dir "$data" 2>/dev/null | grep -o 'gradreg_[0-9A-Za-z_-]*' | head -1)
start --workers 1
succeeded=$(submit 50); state "$succeeded" succeeded
blocker=$(submit 100000000); state "$blocker" running
queued=$(submit 60); paused=$(submit 61); cancelled=$(submit 62); trashed=$(submit 63)
two() { jq -n --argjson base "$(spec 50)" '{name: "two", base: $base, axes: [{pointer: "/training/batch_size", values: [10, 20]}]}'; }
sweep() { curl -s -d "$(two)" "$api/sweeps" | jq .id; }
waiting=$(sweep) held=$(sweep) ended=$(sweep)
for path in experiments/$paused/pause experiments/$cancelled/cancel experiments/$trashed/cancel sweeps/$held/pause sweeps/$ended/cancel; do
    curl -s -X POST "$api/$path" >/dev/null
done
curl -s -X DELETE "$api/experiments/$trashed" >/dev/null
cookie=$(curl -s -D - -o /dev/null -d "{\"token\": \"$secret\"}" "$api/session" | tr -d '\r' | sed -n 's/^Set-Cookie: \([^;]*\);.*/\1/p')
log_size() { stat -c %s "$data/gradreg.db-wal"; }
check "full: the database's log is what the limit meets" test "$(log_size)" -gt $((3 * $(stat -c %s "$folder/err")))
before=$(curl -s "$api/experiments?limit=500" | jq -c '[.experiments[] | select(.state != "running")]')
prlimit --pid $server --fsize="$(log_size)": || fail "prlimit"
full() { local name=$1; shift; problem "full: $name" 507 "full" "$@"; }
full submit -d "$(spec 50)" "$api/experiments"
full change -X PATCH -H 'Content-Type: application/merge-patch+json' -d '{"notes": "x"}' "$api/experiments/$queued"
ask -d "{\"action\": \"cancel\", \"ids\": [$queued, $paused]}" "$api/experiments/actions"
equal "full: many" "$status $(jq -c '[.results[] | .status]' <<<"$body")" "200 [507,507]"
for path in $cancelled/clone $succeeded/replay $queued/cancel $queued/pause $paused/resume $cancelled/retry; do
    full "${path#*/}" -X POST "$api/experiments/$path"
done
full trash -X DELETE "$api/experiments/$cancelled"
full undelete -X POST "$api/experiments/$trashed/undelete"
full purge -X POST "$api/experiments/$trashed/purge"
full "sweep" -d "$(two)" "$api/sweeps"
full "sweep: seeds" -d '{"repeats": 3}' "$api/sweeps/$waiting/seeds"
for path in $waiting/cancel $waiting/pause $held/resume "$ended/retry?states=cancelled"; do full "sweep: ${path#*/}" -X POST "$api/sweeps/$path"; done
full "sweep: trash" -X DELETE "$api/sweeps/$ended"
full "session" -d "{\"token\": \"$secret\"}" "$api/session"
full "session: end" -X DELETE -H "Cookie: $cookie" "$api/session"
ask "$url/healthz"; equal "full: alive" "$status" 200
problem "full: not ready" 503 "full" "$url/readyz"
head -c "$(($(log_size) + 4096))" /dev/zero >"$folder/data.npy"
problem "full: data file" 507 "no space" --data-binary "@$folder/data.npy" "$api/datasets?name=x.npy"
equal "full: nothing is left of the data file" "$(ls -A "$data/datasets/receiving" "$data/datasets/user" 2>/dev/null | grep -c npy)" 0
equal "full: reading goes on, and nothing was stored" \
    "$(curl -s "$api/experiments?limit=500" | jq -c '[.experiments[] | select(.state != "running")]')" "$before"
prlimit --pid $server --fsize=unlimited: || fail "prlimit"
ask "$url/readyz"; equal "space again: ready" "$status" 200
ask -d "$(spec 50)" "$api/experiments"; equal "space again" "$status" 201
# a result that waits for the disk warns of it, and not any more once it is stored
curl -s -X POST "$api/experiments/$blocker/cancel" >/dev/null
count=$(iterations 2); late=$(submit "$count")
curl -sN -m 300 "$api/experiments/$late/events" >"$folder/late" & stream=$!
# told PATTERN: waits until the stream has it
told() { for _ in $(seq 900); do grep -q "$1" "$folder/late" && return; sleep 0.1; done; fail "full: the stream has no $1"; }
told '^event: progress'
prlimit --pid $server --fsize=1: || fail "prlimit"
told "^data: .*\"iteration\":$count[,}]"
sleep 2
equal "full: the result waits" "$(curl -s "$api/experiments/$late" | jq -r .state)" running
prlimit --pid $server --fsize=unlimited: || fail "prlimit"
state "$late" succeeded
wait $stream
equal "space again: nothing to warn of" "$(curl -s "$api/experiments/$late" | jq .warning)" null
holds "space again: the log has it" "$(curl -s "$api/experiments/$late/log")" "could not be stored yet"
stop
equal "full: status of the end" "$code" 0
data=
