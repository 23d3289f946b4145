# Records: conditions on ETags, PATCH, the trash, and actions on many at once.
etag() { curl -s -o /dev/null -D - "$api/experiments/$1" | tr -d '\r' | sed -n 's/^ETag: //p'; }
patch() { local id=$1 with=$2; shift 2; ask -X PATCH -H "Content-Type: application/merge-patch+json" -d "$with" "$@" "$api/experiments/$id"; }
parent=$(submit 50); state "$parent" succeeded; child=$(submit 50 ".init_from = $parent"); state "$child" succeeded
busy=$(submit 100000000); state "$busy" running
one=$(submit 100000000 '.seed = 1'); two=$(submit 100000000 '.seed = 2')
# -- If-Match, If-None-Match
tag=$(etag "$one"); place=$api/experiments/$one
for list in "*" "$tag" "\"0\", $tag" "W/\"0\" ,, $tag,"; do ask -H "If-Match: $list" "$place"; equal "If-Match $list" "$status" 200; done
for list in '"0"' "W/$tag" '"0", "1,2"'; do
    problem "If-Match $list" 412 "its ETag is" -H "If-Match: $list" "$place"; holds "If-Match $list: the ETag" "$headers" "ETag: $tag"
done
for list in "*" "$tag" "W/$tag" "\"0\",$tag"; do ask -H "If-None-Match: $list" "$place"; equal "If-None-Match $list" "$status$body" 304; done
ask -H 'If-None-Match: "0"' "$place"; equal "If-None-Match: another" "$status" 200
for list in "${tag//\"/}" '"0" "1"' '"' 'W/' '*, "0"' '"0'; do
    problem "If-Match: $list is none" 400 "double quotes" -H "If-Match: $list" "$place"
    problem "If-None-Match: $list is none" 400 "double quotes" -H "If-None-Match: $list" "$place"
done
problem "DELETE of another version" 412 "If-Match" -X DELETE -H 'If-Match: "0"' "$place"
problem "PATCH of another version" 412 "If-Match" -X PATCH -d '{"name": "x"}' -H 'If-Match: "0"' "$place"
problem "PATCH where there is none" 412 "If-None-Match" -X PATCH -d '{"name": "x"}' -H 'If-None-Match: *' "$place"
for name in cancel pause resume retry undelete purge; do problem "$name of another version" 412 "If-Match" -X POST -H 'If-Match: "0"' "$place/$name"; done
equal "nothing was changed" "$(etag "$one")" "$tag"
# -- PATCH
patch "$one" '{"name": "new", "tags": {"group": null, "paper": "x"}, "notes": "a\nb \u00e9", "priority": 7}' -H "If-Match: $tag"
equal "PATCH" "$status $(jq -c '[.name, .tags, .notes, .priority, .spec.name]' <<<"$body")" '200 ["new",{"paper":"x"},"a\nb é",7,"digits, plain"]'
holds "PATCH: ETag" "$headers" "ETag: $(etag "$one")"
check "PATCH: another ETag" test "$(etag "$one")" != "$tag"
equal "PATCH: stored" "$(curl -s "$place")" "$body"
tag=$(etag "$one"); patch "$one" '{"priority": 7, "tags": {"none": null}}'; equal "PATCH that changes nothing" "$status $(etag "$one")" "200 $tag"
ask -X PATCH -d '{"tags": {"more": "y"}}' "$place"; equal "PATCH by plain curl" "$status $(jq -c .tags <<<"$body")" '200 {"paper":"x","more":"y"}'
patch "$two" '{"name": null, "tags": null}'; equal "PATCH: defaults" "$(jq -c '[.name != "digits, plain", .tags]' <<<"$body")" '[true,{}]'
equal "PATCH: in the log" "$(curl -s "$place/log" | grep -c 'edited: name tags notes priority (7, was 0)')" 1
patch "$one" '{"nmae": null, "state": "queued", "seed": 3, "priority": 1.5, "notes": 1, "a/b": 1, "tags": {"x": {}}}'
equal "PATCH: all problems" "$status $(jq -c '[.errors[].pointer] | sort' <<<"$body")" '422 ["/a~1b","/nmae","/notes","/priority","/seed","/state","/tags/x"]'
for part in 'did you mean \"name\"' "clone the experiment" "actions change its state"; do holds "PATCH: remedies" "$body" "$part"; done
for bad in '{"priority": 1001}' '{"name": ""}' '[]' '{"name": "a", "name": "b"}' "{\"notes\": \"$(head -c 20001 /dev/zero | tr '\0' n)\"}" '{"name": "a\nb"}'; do
    problem "PATCH ${bad:0:30}" 422 "pointer" -X PATCH -d "$bad" "$place"
done
problem "PATCH: not JSON" 400 "line 1" -X PATCH -d '{' "$place"
problem "PATCH of nothing" 404 "experiment 9999" -X PATCH -d '{}' "$api/experiments/9999"
problem "PATCH: another kind of patch" 415 "merge-patch" -X PATCH -H "Content-Type: application/json-patch+json" -d '[]' "$place"
holds "PATCH: which kind" "$headers" "Accept-Patch: application/merge-patch+json"
# the queue: the later one goes first by its priority
patch "$one" '{"priority": -1}'; patch "$two" '{"priority": 3}'; patch "$busy" '{"notes": "while it runs"}'; equal "PATCH of a running one" "$status" 200
curl -s -X POST "$api/experiments/$busy/cancel" >/dev/null; state "$two" running
equal "priority" "$(curl -s "$place" | jq -r .state)" queued
# -- the trash
problem "delete a running one" 409 "cancel it before" -X DELETE "$api/experiments/$two"
problem "undelete what is not there" 409 "not in the trash" -X POST "$api/experiments/$busy/undelete"
problem "purge what is not there" 409 "delete it before" -X POST "$api/experiments/$busy/purge"
state "$busy" cancelled
ask -X DELETE -H "If-Match: $(etag "$busy")" "$api/experiments/$busy"; equal "delete" "$status" 204
problem "in the trash" 404 "undelete it" "$api/experiments/$busy"
for part in log metrics analysis events; do problem "$part in the trash" 404 "undelete it" "$api/experiments/$busy/$part"; done
for id in 9223372036854775807 99999999999999999999999; do problem "an id that nothing has" 404 "there is no experiment $id" "$api/experiments/$id"; done
problem "delete twice" 404 "in the trash" -X DELETE "$api/experiments/$busy"
problem "PATCH in the trash" 404 "in the trash" -X PATCH -d '{}' "$api/experiments/$busy"
ask "$api/experiments?trashed=true&state=cancelled&limit=1"; equal "the trash" "$(jq -c '[.experiments[0].id, .experiments[0].trashed_at != null]' <<<"$body")" "[$busy,true]"
ask "$api/experiments?limit=500"; equal "not in the list" "$(jq "[.experiments[] | select(.id == $busy or .trashed_at != null)] | length" <<<"$body")" 0
ask "$api/experiments/$busy?trashed=true"; equal "one in the trash" "$status $(jq .id <<<"$body")" "200 $busy"
problem "not in the trash" 404 "not in the trash" "$api/experiments/$one?trashed=true"
problem "trashed: neither" 400 "true or false" "$api/experiments?trashed=1"
ask -X POST "$api/experiments/$busy/undelete"; equal "undelete" "$status $(jq -c '[.id, .state, .trashed_at]' <<<"$body")" "200 [$busy,\"cancelled\",null]"
ask -X DELETE "$api/experiments/$parent"; ask -X POST "$api/experiments/$parent/purge"; equal "purge: what a succeeded one started from" "$status" 204
problem "replay of what started from it" 422 "init_from" -X POST "$api/experiments/$child/replay"
file=$child
files() { find "$folder/data/artifacts" -type f -name "$file-*" | wc -l; }
check "purge: its model is there" test "$(files)" -ge 1
heir=$(curl -s "$api/experiments/$file" | jq ".spec | .init_from = $file | .training.iterations = 100000000" | curl -s -d @- "$api/experiments" | jq -r .id)
problem "delete what is started from" 409 "experiment $heir starts from" -X DELETE "$api/experiments/$file"
ask -d "{\"action\": \"delete\", \"ids\": [$file]}" "$api/experiments/actions"; equal "delete what is started from, of many" "$(jq -c '.results[0].status' <<<"$body")" 409
ask -X POST "$api/experiments/$heir/cancel"; state "$heir" cancelled
ask -X DELETE "$api/experiments/$file"; equal "delete what was started from" "$status" 204
ask -X POST "$api/experiments/$file/purge"; equal "purge" "$status$body" 204
equal "purge: its files" "$(files)" 0
for name in undelete purge; do problem "$name what is gone" 404 "there is no experiment $file" -X POST "$api/experiments/$file/$name"; done
# -- many at once
many() { ask -d "$1" "$api/experiments/actions"; }
results() { jq -c '[.done, .refused, [.results[] | [.id, .status, .state]]]' <<<"$body"; }
many "{\"action\": \"pause\", \"ids\": [9999, $two, $busy, $one], \"dry_run\": true}"
wanted="[2,2,[[$busy,409,\"cancelled\"],[$one,200,\"queued\"],[$two,200,\"running\"],[9999,404,null]]]"
equal "many: dry run" "$status $(results)" "200 $wanted"
equal "many: nothing was done" "$(curl -s "$place" | jq -r .state)" queued
many "{\"action\": \"pause\", \"ids\": [9999, $two, $busy, $one]}"
equal "many: pause" "$status $(results)" "200 ${wanted/queued/paused}"
holds "many: why not" "$body" "has already been cancelled"
state "$two" paused
many "{\"action\": \"resume\", \"ids\": [$one, $two]}"; equal "many: resume" "$(jq .done <<<"$body")" 2
many "{\"action\": \"cancel\", \"ids\": [$one, $two]}"; equal "many: cancel" "$(jq .done <<<"$body")" 2; state "$two" cancelled
many "{\"action\": \"retry\", \"ids\": [$one], \"from\": \"start\"}"; equal "many: retry" "$(results)" "[1,0,[[$one,200,\"queued\"]]]"
many "{\"action\": \"cancel\", \"ids\": [$one]}"; state "$one" cancelled
for action in delete undelete delete purge; do
    many "{\"action\": \"$action\", \"ids\": [$one, $two]}"; equal "many: $action" "$(jq -c '[.done, .refused]' <<<"$body")" '[2,0]'
done
equal "many: purged" "$(jq -c '[.results[].state]' <<<"$body")" '[null,null]'
problem "many: nothing" 422 "/action" -d '{}' "$api/experiments/actions"
problem "many: no such action" 422 'did you mean \"pause\"' -d '{"action": "pasue", "ids": [1]}' "$api/experiments/actions"
for ids in '[]' '[1, 1]' '[0]' '[1.5]' '["1"]' '1' "[$(seq -s, 1 1025)]"; do problem "many: ids ${ids:0:20}" 422 "/ids" -d "{\"action\": \"pause\", \"ids\": $ids}" "$api/experiments/actions"; done
problem "many: from" 422 "/from" -d '{"action": "pause", "ids": [1], "from": "start"}' "$api/experiments/actions"
problem "many: unknown member" 422 "/idz" -d '{"action": "pause", "ids": [1], "idz": 1}' "$api/experiments/actions"
problem "many: not JSON" 400 "line 1" -d '{' "$api/experiments/actions"
problem "many: GET" 405 "POST" "$api/experiments/actions"
curl -s -X POST "$api/experiments/$two/cancel" >/dev/null
