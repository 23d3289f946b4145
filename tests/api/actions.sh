# Pause, resume, retry and the log: what they do, and what they refuse.
act() { ask -X POST "$api/experiments/$1/$2"; }
busy=$(submit 100000000); waiting=$(submit 100000000)
state "$busy" running
act "$waiting" pause; equal "pause a queued one" "$status $(jq -r .state <<<"$body")" "200 paused"
problem "pause a paused one" 409 "is paused" -X POST "$api/experiments/$waiting/pause"
problem "retry a paused one" 409 "resume it" -X POST "$api/experiments/$waiting/retry"
act "$waiting" resume; equal "resume" "$status $(jq -r .state <<<"$body")" "200 queued"
problem "resume a queued one" 409 "only a paused one" -X POST "$api/experiments/$waiting/resume"
problem "retry a queued one" 409 "is queued" -X POST "$api/experiments/$waiting/retry"
act "$waiting" pause; act "$waiting" cancel; equal "cancel a paused one" "$status $(jq -r .state <<<"$body")" "200 cancelled"
problem "pause a cancelled one" 409 "has already been cancelled" -X POST "$api/experiments/$waiting/pause"
problem "resume a cancelled one" 409 "retry it" -X POST "$api/experiments/$waiting/resume"
problem "retry from nowhere" 400 "checkpoint or start" -X POST "$api/experiments/$waiting/retry?from=here"
problem "retry with a body" 400 "query parameters" -d '{"from": "start"}' "$api/experiments/$waiting/retry"
act "$waiting" "retry?from=start"; equal "retry" "$status $(jq -r .state <<<"$body")" "200 queued"
act "$waiting" cancel
problem "resume a running one" 409 "is running" -X POST "$api/experiments/$busy/resume"
act "$busy" pause; equal "pause a running one" "$status" 200
state "$busy" paused 10
equal "paused" "$(curl -s "$api/experiments/$busy" | jq -c '[.worker, .pause_requested, .progress.eta_seconds, .finished_at]')" '[null,false,null,null]'
act "$busy" resume; state "$busy" running
act "$busy" cancel; state "$busy" cancelled 10
problem "pause a succeeded one" 409 "has already succeeded" -X POST "$api/experiments/1/pause"
problem "retry a succeeded one" 409 "clone or replay" -X POST "$api/experiments/1/retry"
for name in pause resume retry; do problem "$name nothing" 404 "experiment 9999" -X POST "$api/experiments/9999/$name"; done
ask "$api/experiments/$busy/log"
holds "log: type" "$headers" "Content-Type: text/plain"
for part in "submitted" "taken by worker-1, attempt 1" "training starts" "pause requested" "handed back: paused" \
    "resumed: queued" "training goes on from the checkpoint" "cancelled at iteration"; do holds "log" "$body" "$part"; done
equal "log: form" "$(grep -vcE '^20[0-9-]{8}T[0-9:.]{12}Z (info|warning|error) +[^ ]' <<<"$body")" 0
equal "log: link" "$(curl -s "$api/experiments/$busy" | jq -r .links.log)" "/api/v1/experiments/$busy/log"
problem "log of nothing" 404 "experiment 9999" "$api/experiments/9999/log"
