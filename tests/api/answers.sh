# Every answer that the OpenAPI document names was given by a part of the other groups, and no other answer was.
start --workers 1
curl -s "$api/openapi.json" >"$folder/openapi.json"
stop
jq -r '.paths | to_entries[] | .key as $path | .value | to_entries[] | .key as $method | .value.responses | keys[]
    | select(. != "default") | "\($method | ascii_upcase) \($path) \(.)"' "$folder/openapi.json" | sort >"$folder/documented"
sort -u "$records"/*.given >"$folder/given"
check "both groups noted their answers" test -s "$records/experiments.given" -a -s "$records/operation.given"
equal "OpenAPI: documented answers that no test has got (add a test, or take it from server/openapi.json)" \
    "$(comm -23 "$folder/documented" "$folder/given")" ""
sed 's/^HEAD /GET /' "$folder/given" | grep -v ' /{file\*} \|^OPTIONS \| 5[0-9][0-9]$\| 0$\| 4[23][19]$\| 405$' | sort -u >"$folder/expected"
equal "OpenAPI: answers given that are not documented (add them to server/openapi.json)" "$(comm -13 "$folder/documented" "$folder/expected")" ""
check "OpenAPI: answers were recorded" test "$(wc -l <"$folder/documented")" -gt 100
