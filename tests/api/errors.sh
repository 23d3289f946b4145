# Every class of error, each with a problem that names the place.
problem "unknown path" 404 "/nothing" "$url/nothing"
problem "unknown API path" 404 "/api/v1/nothing" "$api/nothing"
problem "unknown id" 404 "experiment 4711" "$api/experiments/4711"
for id in 0 -1 x 1x 01 99999999999999999999999 1%2F1; do problem "id $id" 404 "integer" "$api/experiments/$id"; done
for route in metrics events model.safetensors predictions.csv; do problem "unknown $route" 404 "experiment 4711" "$api/experiments/4711/$route"; done
problem "cancel unknown" 404 "experiment 4711" -X POST "$api/experiments/4711/cancel"
problem "delete unknown" 404 "experiment 4711" -X DELETE "$api/experiments/4711"
for method in PUT PATCH DELETE BREW; do problem "$method" 405 "GET" -X $method "$api/experiments"; done
holds "405: Allow" "$headers" "Allow: GET, HEAD, POST, OPTIONS"
problem "GET of an action" 405 "POST" "$api/experiments/1/cancel"
problem "cancel of a finished one" 409 "succeeded" -X POST "$api/experiments/1/cancel"
problem "bad cursor" 400 "cursor" "$api/experiments?cursor=abc"
problem "bad cursor 2" 400 "cursor" "$api/experiments?cursor=e99999999999999999999"
problem "bad limit" 400 "limit" "$api/experiments?limit=0"
problem "bad limit 2" 400 "500" "$api/experiments?limit=501"
problem "bad state" 400 "diverged" "$api/experiments?state=done"
problem "bad field" 400 "nmae" "$api/experiments?fields=nmae"
problem "unknown parameter" 400 "known here: state" "$api/experiments?stat=queued"
problem "parameter twice" 400 "twice" "$api/experiments?limit=1&limit=2"
problem "bad max_points" 400 "max_points" "$api/experiments/1/metrics?max_points=1"
problem "bad after" 400 "after" "$api/experiments/1/metrics?after=x"
problem "encoded NUL" 400 "NUL" "$api/experiments/1%00"
problem "encoded NUL in the query" 400 "NUL" "$api/experiments?state=%00"
problem "bad escape" 400 "hexadecimal" "$api/experiments/%zz"
problem "not UTF-8" 400 "UTF-8" "$api/experiments/%ff"
problem "way out of the files" 404 "nothing" --path-as-is "$url/../../etc/passwd"
problem "way out, escaped" 404 "nothing" --path-as-is "$url/%2e%2e/%2e%2e/etc/passwd"
problem "foreign Host" 421 "evil.example" -H "Host: evil.example" "$api/experiments"
ask -H "Host: localhost:1" "$api/experiments"; equal "Host localhost" "$status" 200
problem "foreign Origin" 403 "evil.example" -H "Origin: http://evil.example" -d "$(spec 50)" "$api/experiments"
problem "foreign Origin, delete" 403 "evil.example" -H "Origin: http://evil.example" -X DELETE "$api/experiments/1"
problem "foreign page without Origin" 403 "origin" -H "Sec-Fetch-Site: cross-site" -X POST "$api/experiments/1/cancel"
ask -H "Origin: $url" -X DELETE "$api/experiments/4"; equal "own Origin" "$status" 204
