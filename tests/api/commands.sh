# The commands that talk to a server, and what serve refuses.
spec 100 >"$folder/good.json"
spec 100 '.seed = -1 | .nmae = 1' >"$folder/bad.json"
output=$("$gradreg" submit "$folder/good.json" --server "$url" --watch 2>&1); code=$?
equal "submit --watch" $code 0
holds "submit: address" "$output" "$url/#/experiments/"
holds "watch: rows" "$output" " 50/100"
holds "watch: end" "$output" " succeeded 100/100"
output=$("$gradreg" submit "$folder/bad.json" "$folder/good.json" "$folder/none.json" --server "$url/" 2>&1); code=$?
equal "submit: one bad" $code 1
holds "submit: problems" "$output" "/seed"
holds "submit: all problems" "$output" "/nmae"
holds "submit: missing file" "$output" "No such file"
id=$(sed -n 's/.*good.json: experiment \([0-9]*\),.*/\1/p' <<<"$output")
output=$(GRADREG_SERVER=$url "$gradreg" watch "$id" 1 2>&1); equal "watch of two" $? 0
id=$(submit 100000000)
"$gradreg" watch "$id" --server "$url" >"$folder/watch" 2>&1 & watch=$!
state "$id" running
curl -s -X POST "$api/experiments/$id/cancel" >/dev/null
wait $watch; equal "watch of a cancelled one" $? 1
output=$("$gradreg" watch 4711 --server "$url" 2>&1); equal "watch of none" "$? $output" "1 gradreg watch: there is no experiment 4711"
output=$("$gradreg" watch 1 --server http://127.0.0.1:1 2>&1); equal "watch without a server" $? 1
holds "watch without a server" "$output" "127.0.0.1:1"
"$gradreg" watch x >/dev/null 2>&1; equal "watch of nonsense" $? 2
"$gradreg" submit >/dev/null 2>&1; equal "submit of nothing" $? 2
# serve: one clear line each
refuses "same directory" 1 "in use" --listen 127.0.0.1:0 --data-dir "$folder/data"
refuses "same port" 1 "in use" --listen "${url#http://}" --data-dir "$folder/other"
refuses "other address" 1 "ssh -L" --listen 0.0.0.0:0 --data-dir "$folder/other"
refuses "no address" 1 "ADDRESS:PORT" --listen here --data-dir "$folder/other"
refuses "directory that cannot be" 1 "/proc/none" --listen 127.0.0.1:0 --data-dir /proc/none
refuses "directory that is a file" 1 "$folder/good.json" --listen 127.0.0.1:0 --data-dir "$folder/good.json"
refuses "no workers" 2 "1 to 256" --workers 0
refuses "many workers" 2 "1 to 256" --workers 257
refuses "unknown option" 2 "did you mean \"--workers\"" --wokers 1
check "nothing was left behind" test ! -e "$folder/other/gradreg.db"
if [ -e /proc/net/if_inet6 ] && grep -q ' lo$' /proc/net/if_inet6; then
    : >"$folder/six.out"
    "$gradreg" serve --listen '[::1]:0' --data-dir "$folder/six" --workers 1 >"$folder/six.out" 2>&1 & six=$!
    for _ in $(seq 200); do grep -q listening "$folder/six.out" && break; sleep 0.05; done
    address=$(sed -n 's/^gradreg listening on //p' "$folder/six.out")
    ask -g "${address}healthz"; equal "IPv6" "$status" 200
    kill -INT $six; wait $six; equal "exit status after SIGINT" $? 0
fi
