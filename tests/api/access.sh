# Tokens, sessions, TLS, limits, metrics and configuration, on a data directory of their own.
data=$folder/access
umask 022
head -c 1048577 /dev/zero | tr '\0' ' ' >"$folder/large"
token() { "$gradreg" token "$@" --data-dir "$data" 2>>"$folder/token.err"; }
reader=$(token create reader --scope read) writer=$(token create writer) admin=$(token create boss --scope admin --expires never)
check "a token's form" test "$(grep -cE '^gradreg_[0-9]+_[A-Za-z0-9_-]{43}$' <<<"$reader")" = 1
token create reader >/dev/null; equal "the same name again" $? 1
holds "the same name again" "$(cat "$folder/token.err")" 'there is a token called "reader"'
token create 'a b' >/dev/null; equal "a bad name" $? 1
token create other --scope root >/dev/null; equal "a bad scope" $? 1
token create other --expires soon >/dev/null; equal "a bad duration" $? 1
token create >/dev/null; equal "no name" $? 2
# secret TOKEN: what follows gradreg_NUMBER_ (it may have underscores of its own)
secret() { sed -E 's/^gradreg_[0-9]+_//' <<<"$1"; }
# nowhere NAME TOKEN FILE…: no file has the token's secret part
nowhere() {
    local name=$1 part=$(secret "$2")
    shift 2
    check "$name: a secret to look for" test ${#part} -ge 32
    equal "$name" "$(cat "$@" | grep -caF -e "$part")" 0
}
nowhere "no secret is stored" "$reader" "$data"/gradreg.db*
equal "a new data directory is its owner's" "$(find "$data" -perm /077)" ""

start --workers 1 --require-token --queue-limit 2 --upload-limit 1048576
equal "public: health" "$(curl -s -o /dev/null -w '%{http_code}' "$url/healthz")" 200
equal "public: dashboard" "$(curl -s -o /dev/null -w '%{http_code}' "$url/")" 200
equal "public: who am I" "$(curl -s "$api/session" | jq -c '[.token_required, .authenticated, .scope]')" '[true,false,"public"]'
problem "no token" 401 "gradreg token create" "$api/experiments"
holds "no token: scheme" "$headers" 'WWW-Authenticate: Bearer realm="gradreg"'
problem "no token: metrics" 401 "token" "$url/metrics"
problem "no token: submit" 401 "token" -d "$(spec 50)" "$api/experiments"
problem "unknown token" 401 "not one of this server" -H "Authorization: Bearer gradreg_1_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" "$api/experiments"
problem "nonsense token" 401 "not one of this server" -H "Authorization: Bearer x" "$api/experiments"
problem "other scheme" 401 "Bearer TOKEN" -u a:b "$api/experiments"
ask -H "Authorization: Bearer $reader" "$api/experiments"; equal "read scope reads" "$status" 200
problem "read scope submits" 403 'scope' -H "Authorization: Bearer $reader" -d "$(spec 50)" "$api/experiments"
ask -H "authorization: bearer $writer" -d "$(spec 50)" "$api/experiments"; equal "submit scope submits" "$status" 201
ask -H "Authorization: Bearer $admin" "$url/metrics"; equal "admin scope reads" "$status" 200
equal "what a server makes is its owner's" "$(find "$data" -perm /077)" ""
equal "last use is noted" "$(token list --json | jq -r '.tokens[] | select(.name == "reader") | .last_used_at != null')" true
# what every route refuses in the same way
curl -s "$api/openapi.json" >"$folder/openapi.json"
while read -r method path takes_json public; do
    place=$url$(sed 's/{id}/1/; s/{[a-z_]*}/x/g' <<<"$path") permitted="Authorization: Bearer $admin"
    problem "$method $path: host" 421 "evil.example" -X "$method" -H "Host: evil.example" "$place"
    problem "$method $path: query" 400 "unknown query" -X "$method" -H "$permitted" "$place?nope=1"
    [ "$public" = true ] || problem "$method $path: no token" 401 "token" -X "$method" "$place"
    [ "$method" = GET ] || problem "$method $path: origin" 403 "origin" -X "$method" -H "$permitted" -H "Origin: http://evil.example" "$place"
    [ "$takes_json" = true ] || continue
    problem "$method $path: type" 415 "text/plain" -X "$method" -H "$permitted" -H "Content-Type: text/plain" -d x "$place"
    problem "$method $path: size" 413 "1048576" -X "$method" -H "$permitted" --data-binary "@$folder/large" "$place"
done < <(jq -r '.paths | to_entries[] | .key as $path | .value | to_entries[]
    | "\(.key | ascii_upcase) \($path) \(.value.responses | has("415")) \(.value.security == [])"' "$folder/openapi.json")
# queue length of one token
ended=$(curl -s -H "Authorization: Bearer $admin" -d "$(spec 50)" "$api/experiments" | jq -r .id)
for _ in $(seq 300); do [[ $(curl -s -H "Authorization: Bearer $reader" "$api/experiments/$ended") == *'"state":"succeeded"'* ]] && break; sleep 0.1; done
blocker=$(curl -s -H "Authorization: Bearer $admin" -d "$(spec 100000000)" "$api/experiments" | jq -r .id)
for _ in $(seq 300); do [[ $(curl -s -H "Authorization: Bearer $reader" "$api/experiments/$blocker") == *'"state":"running"'* ]] && break; sleep 0.1; done
for i in 1 2; do ask -H "Authorization: Bearer $writer" -d "$(spec 50 ".seed = $i")" "$api/experiments"; equal "queue: submission $i" "$status" 201; done
problem "queue: one too many" 429 "queue_limit" -H "Authorization: Bearer $writer" -d "$(spec 50)" "$api/experiments"
ask -H "Authorization: Bearer $admin" -d "$(spec 50)" "$api/experiments"; equal "queue: another token's" "$status" 201
curl -s -X POST -H "Authorization: Bearer $writer" "$api/experiments/$((blocker + 1))/cancel" >/dev/null
ask -H "Authorization: Bearer $writer" -d "$(spec 50)" "$api/experiments"; equal "queue: room again" "$status" 201
one=$(jq -n --argjson base "$(spec 50)" '{name: "one", base: $base, axes: [{pointer: "/training/batch_size", values: [10]}]}')
problem "queue: a sweep too many" 429 "queue_limit" -H "Authorization: Bearer $writer" -d "$one" "$api/sweeps"
problem "queue: a replay too many" 429 "queue_limit" -X POST -H "Authorization: Bearer $writer" "$api/experiments/$ended/replay"
sweep=$(curl -s -H "Authorization: Bearer $admin" -d "$one" "$api/sweeps" | jq -r .id)
problem "queue: seeds too many" 429 "queue_limit" -H "Authorization: Bearer $writer" -d '{"seeds": [7, 8]}' "$api/sweeps/$sweep/seeds"
problem "data file: a reader brings none" 403 submit -H "Authorization: Bearer $reader" -d x "$api/datasets?name=x.csv"
problem "data file: removing needs admin" 403 admin -X DELETE -H "Authorization: Bearer $writer" "$api/datasets/x.csv"
problem "purge needs admin" 403 admin -X POST -H "Authorization: Bearer $writer" "$api/experiments/$blocker/purge"
problem "purge of many needs admin" 403 admin -H "Authorization: Bearer $writer" -d '{"action": "purge", "ids": [1]}' "$api/experiments/actions"
# sessions
problem "session: wrong token" 401 "not one" -d '{"token": "gradreg_1_x"}' "$api/session"
problem "session: no token" 400 "token" -d '{}' "$api/session"
problem "session: from another site" 403 "origin" -H "Sec-Fetch-Site: cross-site" -d "{\"token\": \"$reader\"}" "$api/session"
ask -c "$folder/jar" -d "{\"token\": \"$reader\"}" "$api/session"
equal "session: begun" "$status $(jq -c '[.authenticated, .session, .name, .scope]' <<<"$body")" '200 [true,true,"reader","read"]'
holds "session: cookie" "$headers" "; Path=/; HttpOnly; SameSite=Strict; Max-Age="
ask -b "$folder/jar" "$api/experiments"; equal "session: reads" "$status" 200
problem "session: no more than its token" 403 'scope' -b "$folder/jar" -d "$(spec 50)" "$api/experiments"
check "session: event stream" test -n "$(curl -s -m 2 -b "$folder/jar" -N "$api/events")"
cp "$folder/jar" "$folder/jar.kept"
# begin_streams CURL-ARGUMENTS…: event streams that have something to deliver every second, for an experiment runs
begin_streams() { listening=(); for place in events "experiments/$blocker/events"; do curl -s -m 20 -N "$@" "$api/$place" >/dev/null & listening+=($!); done; sleep 1; }
# ended_streams NAME: they must end, and not by curl's time limit
ended_streams() { for one in "${listening[@]}"; do wait "$one"; equal "$1" $? 0; done; }
begin_streams -b "$folder/jar"
ask -X DELETE -b "$folder/jar" -c "$folder/jar" "$api/session"; equal "session: ended" "$status" 204
ended_streams "session: ended, its streams too"
problem "session: its cookie is worth nothing" 401 "token" -b "$folder/jar.kept" "$api/experiments"
ask -c "$folder/jar" -d "{\"token\": \"$reader\"}" "$api/session"
begin_streams -H "Authorization: Bearer $reader"; by_token=("${listening[@]}")
begin_streams -b "$folder/jar"; listening+=("${by_token[@]}")
token revoke reader; equal "revoke beside the server" $? 0
ended_streams "revoked: its streams end"
problem "revoked" 401 "revoked" -H "Authorization: Bearer $reader" "$api/experiments"
problem "revoked: its session" 401 "token" -b "$folder/jar" "$api/experiments"
token revoke reader; equal "revoke again" $? 1
# the client
output=$(GRADREG_TOKEN=$writer "$gradreg" watch "$((blocker + 1))" --server "$url" 2>&1); holds "client with a token" "$output" "cancelled"
output=$("$gradreg" watch "$blocker" --server "$url" 2>&1); equal "client without" $? 1
holds "client without" "$output" "access token"
# numbers
curl -s -H "Authorization: Bearer $admin" "$url/metrics" >"$folder/metrics"
for name in 'gradreg_experiments{state="running"} 1' 'gradreg_workers{state="busy"} 1' \
    'gradreg_http_requests_total{method="POST",route="/api/v1/experiments",status="429"} 1' \
    'gradreg_store_commit_duration_seconds_bucket{le="+Inf"}' process_resident_memory_bytes; do
    holds "metrics" "$(cat "$folder/metrics")" "$name"
done
check "metrics: iterations" test "$(awk '/^gradreg_training_iterations_total/ {print ($2 > 0)}' "$folder/metrics")" = 1
if command -v promtool >/dev/null; then
    output=$(promtool check metrics <"$folder/metrics" 2>&1); equal "promtool" "$? $output" "0 "
else
    echo "promtool is missing: the form of /metrics was not checked"
fi
curl -s -X POST -H "Authorization: Bearer $admin" "$api/experiments/$blocker/cancel" >/dev/null
cp "$folder/err" "$folder/log.access"
stop; equal "stop with tokens" "$code" 0
equal "log: all of it is JSON" "$(jq -s 'all(has("time") and has("level") and has("event"))' "$folder/err")" true
equal "log: a request" "$(jq -c 'select(.status == 429) | [.method, .route, .path, .token > 0, .end]' "$folder/err" | head -1)" \
    '["POST","/api/v1/experiments","/api/v1/experiments",true,"completed"]'
for token in "$reader" "$writer" "$admin" "$(awk '/session/ {print $7}' "$folder/jar.kept")"; do
    nowhere "log: no secrets" "$token" "$folder/err"
done
equal "log: text" "$("$gradreg" serve --listen 127.0.0.1:0 --data-dir /proc/none 2>&1 | grep -c '^gradreg serve: ')" 1

# elsewhere than loopback
start --workers 1 --listen 0.0.0.0:0 --connections-per-address 4 --host-names gpu.example
port=${url##*:} url=http://127.0.0.1:${url##*:} api=http://127.0.0.1:${url##*:}/api/v1
problem "elsewhere: a token is required" 401 "token" "$api/experiments"
ask -H "Host: gpu.example:$port" "$url/healthz"; equal "elsewhere: its name" "$status" 200
ask -H "Host: 192.0.2.7:$port" "$url/healthz"; equal "elsewhere: its number" "$status" 200
problem "elsewhere: a stranger's name" 421 "evil.example" -H "Host: evil.example" "$url/healthz"
holds "elsewhere: warned of" "$(cat "$folder/err")" '"event":"no_tls"'
stop
# TLS
if command -v openssl >/dev/null; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost \
        -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$folder/key.pem" -out "$folder/certificate.pem" 2>/dev/null
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=other \
        -keyout "$folder/other.pem" -out "$folder/other-certificate.pem" 2>/dev/null
    chmod 600 "$folder"/*.pem
    refuses "TLS: key of another" 1 "do not go together" --data-dir "$data" --tls-certificate "$folder/certificate.pem" --tls-key "$folder/other.pem"
    refuses "TLS: no key" 2 "tls_key is missing" --data-dir "$data" --tls-certificate "$folder/certificate.pem"
    refuses "TLS: no file" 1 "tls_certificate" --data-dir "$data" --tls-certificate "$folder/none" --tls-key "$folder/key.pem"
    chmod 644 "$folder/key.pem"
    refuses "TLS: a key for everybody" 1 "chmod" --data-dir "$data" --tls-certificate "$folder/certificate.pem" --tls-key "$folder/key.pem"
    chmod 600 "$folder/key.pem"
    start --workers 1 --tls-certificate "$folder/certificate.pem" --tls-key "$folder/key.pem"
    export CURL_CA_BUNDLE=$folder/certificate.pem
    holds "TLS: address" "$url" "https://127.0.0.1:"
    ask "$url/healthz"; equal "TLS" "$status" 200
    ask --tls-max 1.1 "$url/healthz"; equal "TLS 1.1 is refused" "$status" 000
    ask -c "$folder/jar" -d "{\"token\": \"$writer\"}" "$api/session"; holds "TLS: cookie" "$headers" "; Secure"
    ask -H "Origin: $url" -b "$folder/jar" -d "$(spec 50)" "$api/experiments"; equal "TLS: own origin" "$status" 201
    problem "TLS: the unencrypted origin" 403 "origin" -H "Origin: http://${url#https://}" -d "$(spec 50)" "$api/experiments"
    id=$(jq -r .id <<<"$body") id=$(curl -s "$api/experiments?limit=1" | jq -r '.experiments[0].id')
    check "TLS: event stream" test -n "$(curl -s -m 60 -N "$api/experiments/$id/events" | grep '^event: experiment')"
    output=$(GRADREG_CA_FILE=$folder/certificate.pem "$gradreg" watch "$id" --server "$url" 2>&1); equal "TLS: client" $? 0
    output=$("$gradreg" watch "$id" --server "$url" 2>&1); equal "TLS: client that does not know the certificate" $? 1
    ask "http://${url#https://}/healthz"; equal "TLS: plain HTTP" "$status" 000
    unset CURL_CA_BUNDLE
    stop; equal "TLS: stop" "$code" 0
else
    echo "openssl is missing: TLS was not tested"
fi
# configuration: flag, then environment, then file, then default
cat >"$folder/config.json" <<EOF
{"workers": 3, "log_level": "debug", "log_format": "json", "host_names": ["a.example", "b.example"], "data_dir": "$data"}
EOF
output=$(GRADREG_LOG_LEVEL=error "$gradreg" serve --check --config "$folder/config.json" --workers 5 --listen 127.0.0.1:0); equal "check" $? 0
for line in "workers +5 +flag --workers" "log_level +error +environment GRADREG_LOG_LEVEL" "host_names +a.example,b.example +file $folder/config.json" \
    "queue_limit +100000 +default" "ok +data_dir +$data: [0-9]+ experiments, 2 tokens in force"; do
    check "check: $line" grep -qE "$line" <<<"$output"
done
output=$(GRADREG_CONFIG=$folder/config.json "$gradreg" serve --check --listen 127.0.0.1:0); check "check: file by environment" grep -qE "workers +3 +file" <<<"$output"
configured() { echo "$2" >"$folder/config.json"; refuses "configuration: $1" 2 "$3" --config "$folder/config.json"; }
configured "unknown key" '{"worker": 3}' 'did you mean "workers"'
configured "place" '{"worker": 3}' "$folder/config.json"
configured "wrong type" '{"workers": "3"}' "workers must be a whole number"
configured "out of range" '{"workers": 0}' "from 1 to 256"
configured "wrong choice" '{"log_format": "xml"}' "text|json"
configured "twice" '{"workers": 1, "workers": 2}' "twice"
configured "no JSON" '{"workers": ' "line"
configured "no object" '[]' "one JSON object"
configured "list" '{"host_names": "a"}' "a list of texts"
configured "truth" '{"require_token": 1}' "true or false"
refuses "configuration: no file" 2 "$folder/none.json" --config "$folder/none.json"
output=$(GRADREG_WORKER=5 "$gradreg" serve --check 2>&1); equal "configuration: a misspelt variable" $? 2
holds "configuration: a misspelt variable" "$output" "did you mean GRADREG_WORKERS?"
output=$(GRADREG_WORKERS=many "$gradreg" serve 2>&1); equal "configuration: variable" $? 2
holds "configuration: variable" "$output" "GRADREG_WORKERS"
refuses "configuration: no value" 2 "wants a value" --listen
data=
