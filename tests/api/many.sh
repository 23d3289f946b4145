# More than a request does at once: bulk actions by filter, exports.
data=$folder/many
start --workers 1
blocker=$(submit 100000000); state "$blocker" running
# with tags, so that an export does not fit into the buffers of a connection
many=$(jq -n --argjson base "$(spec 50 '.tags = ([range(16) | {key: "t\(.)", value: ("x" * 200)}] | from_entries)')" '{name: "many", base: $base, repeats: 1030, axes: [{pointer: "/training/batch_size", values: [10]}]}')
sweep=$(curl -s -m 60 -d "$many" "$api/sweeps" | jq .id)
bulk() { jq -n --arg filter "$1" '{action: "cancel", filter: $filter} + $ARGS.named' "${@:2}"; }
problem "many: too many for one action" 422 "1024" -d "$(bulk "sweep = $sweep")" "$api/experiments/actions"
equal "many: nothing was done" "$(curl -s "$api/sweeps/$sweep" | jq -c .states.queued)" 1030
ask -d "$(bulk "sweep = $sweep AND params.seed <= 1024" --argjson dry_run true)" "$api/experiments/actions"
equal "many: as many as one action takes" "$status $(jq '.results | length' <<<"$body")" "200 1024"
equal "many: only said" "$(curl -s "$api/sweeps/$sweep" | jq -c .states.queued)" 1030
ask -d "$(bulk "sweep = $sweep AND params.seed > 1024")" "$api/experiments/actions"
equal "many: the others" "$status $(jq -c '[.results[].status] | unique' <<<"$body") $(curl -s "$api/sweeps/$sweep" | jq -c '.states | [.queued, .cancelled]')" "200 [200] [1024,6]"
# by the command, which takes any number
"$gradreg" export "$folder/many.filtered" --filter "sweep = $sweep AND (params.seed IN (1, 3) OR state = 'cancelled' AND params.seed > 1028)" --data-dir "$data" >"$folder/out.export" 2>&1
equal "export --filter" "$? $(cut -d, -f1 "$folder/many.filtered/index.csv" | sort -n | tr '\n' ' ')" "0 id 2 4 1030 1031 "
"$gradreg" export "$folder/many.wrong" --filter "sweep = $sweep AND nam = 'x'" --data-dir "$data" >"$folder/out.export" 2>&1
equal "export --filter: wrong" "$? $(cat "$folder/out.export")" '1 gradreg export: --filter, column 15: there is no field "nam"; did you mean "name"?'
check "export --filter: wrong: makes nothing" test ! -e "$folder/many.wrong"
# exports at once: of clients that take nothing more than fits into their sockets
host=${url#http://}
open_export() {
    exec {socket}<>"/dev/tcp/${host%:*}/${host#*:}" || return
    printf 'GET /api/v1/experiments?format=jsonl HTTP/1.1\r\nHost: %s\r\n\r\n' "$host" >&"$socket"
    read -r line <&"$socket"
    sockets+=("$socket")
    equal "export at once" "${line%$'\r'}" "HTTP/1.1 200 OK"
}
sockets=()
for _ in 1 2 3 4 5 6 7 8; do open_export; done
problem "exports: one too many" 503 "8 lists are being exported" "$api/experiments?format=jsonl"
holds "exports: when to come back" "$headers" "Retry-After: 10"
ask "$api/experiments"; equal "exports: pages meanwhile" "$status" 200
for socket in "${sockets[@]}"; do exec {socket}>&-; done
for _ in $(seq 100); do ask "$api/experiments?format=jsonl&limit=1"; [ "$status" != 200 ] || break; sleep 0.1; done
equal "exports: when they have gone" "$status" 200
stop
data=
