# Sizes and times.
head -c 1048577 /dev/zero | tr '\0' ' ' >"$folder/large"
head -c 1048576 "$folder/large" >"$folder/fits"
problem "too large" 413 "1048576" --data-binary "@$folder/large" "$api/experiments"
problem "too large, not asked first" 413 "1048576" -H "Expect:" --data-binary "@$folder/large" "$api/experiments"
problem "too large, chunked" 413 "1048576" -H "Transfer-Encoding: chunked" --data-binary "@$folder/large" "$api/experiments"
problem "just not too large" 400 "JSON" --data-binary "@$folder/fits" "$api/experiments"
long=$(head -c 20000 /dev/zero | tr '\0' a)
ask "$url/$long"; check "long target is refused ($status)" test "$status" -eq 404 -o "$status" -eq 414
ask -H "X: $long$long" "$url/healthz"; check "long header is refused ($status)" test "$status" -ge 400
# fifty clients that submit at once: each gets an id of its own
for i in $(seq 50); do curl -s -d "$(spec 1 ".seed = $i | .dataset = {name: \"moons\", train_size: 50, n: 200}")" "$api/experiments" >"$folder/many.$i" & pids[i]=$!; done
wait "${pids[@]}"
equal "fifty at once" "$(cat "$folder"/many.* | jq -s '[.[].id] | unique | length')" 50
ask "$url/healthz"; equal "still well" "$status" 200
