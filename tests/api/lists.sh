# Lists: the filter's language over HTTP, order, pages, fields, CSV and JSON Lines, and actions by filter.
where() { local filter=$1; shift; ask -G --data-urlencode "filter=$filter" "$@" "$api/experiments"; }
names() { jq -r '[.experiments[].name] | join(" ")' <<<"$body"; }
mine='tags.lists = "yes"'
for i in 1 2 3; do
    last=$(submit 20 ".seed = $i | .name = \"list $i\" | .tags = {lists: \"yes\", \"a key\": \"g$i, \\\"q\\\"\", formula: \"=1+1\"}
        | .optimizer = {type: \"adam\", learning_rate: (0.001 * $i)} | .training.evaluate_every = 20
        | .regularizers = if $i == 2 then [{type: \"datagrad\", weight: 0.5}] else [] end")
done
state "$last" succeeded
long=$(submit 100000000 '.name = "list 4" | .tags = {lists: "yes"}'); curl -s -X POST "$api/experiments/$long/cancel" >/dev/null; state "$long" cancelled
where "$mine"; equal "filter by tag" "$status $(names)" "200 list 4 list 3 list 2 list 1"
while IFS='|' read -r filter wanted; do
    where "$mine AND ($filter)" -d sort=name; equal "filter: $filter" "$status $(names)" "200 $wanted"
done <<'EOF2'
params.regularizers.datagrad.weight > 0.1|list 2
params.regularizers.double_backprop.weight IS NOT NULL|list 2
NOT params.optimizer.learning_rate <= 0.001|list 2 list 3
params.optimizer.learning_rate BETWEEN 0.002 AND 0.003|list 2 list 3
metrics.test_accuracy >= 0 AND metrics.best.train_loss > 0|list 1 list 2 list 3
metrics.test_accuracy IS NULL|list 4
state = "cancelled" OR params.seed IN (1)|list 1 list 4
name LIKE "LIST _" AND state != "cancelled"|list 1 list 2 list 3
tags."a key" = 'g3, "q"'|list 3
finished_at > "2020-01-01" AND finished_at < "2999-12-31T00:00:00+02:00"|list 1 list 2 list 3 list 4
EOF2
# -- errors
wrong() { problem "$1: $2" 400 "$4" -G --data-urlencode "$1=$2" "$api/experiments"; equal "$1: $2: column" "$(jq -c '[.errors[0].parameter, .errors[0].column]' <<<"$body")" "[\"$1\",$3]"; }
wrong filter 'id > 0 AND metrics.test_acuracy > 1' 20 'did you mean \"test_accuracy\"'
wrong filter 'name = "ü€" AND params.optimizer.lr > 1' 34 'there is no parameter \"lr\"; there are: type, learning_rate'
wrong filter 'state = succeeded' 9 'a text stands in quotes'
wrong filter "name = ''; DROP TABLE experiments" 10 'has no meaning'
wrong filter "$(printf '(%.0s' {1..40})" 33 'at most 32'
wrong filter "$(printf 'id = 1 OR %.0s' {1..300})id = 1" 2006 'at most 200'
wrong sort '-nmae' 2 'did you mean \"name\"'
wrong fields 'id,metrics.nothing.at.all' 12 'there is no metric'
problem "format" 400 "csv or jsonl" "$api/experiments?format=xml"
# -- order and pages
where "$mine" -d sort=-metrics.test_accuracy,name -d fields=id,metrics.test_accuracy
whole=$(jq -c '[.experiments[].id]' <<<"$body")
check "sort: downwards, what is missing last" jq -e --argjson long "$long" '[.experiments[].metrics.test_accuracy] | .[0] >= .[1] and .[1] >= .[2] and .[3] == null' <<<"$body" >/dev/null
paged= cursor=
for _ in 1 2 3 4 5; do
    where "$mine" -d sort=-metrics.test_accuracy,name -d limit=1 ${cursor:+--data-urlencode "cursor=$cursor"}
    paged="$paged,$(jq '.experiments[0].id' <<<"$body")" cursor=$(jq -r '.next_cursor // empty' <<<"$body")
    [ -n "$cursor" ] || break
    kept=$cursor
done
equal "pages are the list" "[${paged#,}]" "$whole"
problem "cursor of another sort" 400 "cursor" -G --data-urlencode "filter=$mine" -d sort=name --data-urlencode "cursor=$kept" "$api/experiments"
problem "cursor of another filter" 400 "cursor" -G -d sort=-metrics.test_accuracy,name --data-urlencode "cursor=$kept" "$api/experiments"
problem "cursor that was changed" 400 "cursor" -G --data-urlencode "filter=$mine" -d sort=-metrics.test_accuracy,name --data-urlencode "cursor=${kept}0~" "$api/experiments"
# -- fields
where "$mine AND params.seed = 2" --data-urlencode 'fields=name,params.regularizers.datagrad.weight,params.dataset.stratified,tags."a key",metrics.nothing'
equal "fields: unknown metric" "$status" 400
where "$mine AND params.seed = 2" --data-urlencode 'fields=name,params.regularizers.datagrad.weight,params.dataset.stratified,tags."a key",metrics.stopped_early'
equal "fields" "$status $(jq -c '.experiments[0]' <<<"$body")" '200 {"name":"list 2","params":{"regularizers.datagrad.weight":0.5,"dataset.stratified":false},"tags":{"a key":"g2, \"q\""},"metrics":{"stopped_early":null}}'
# whatever can be named can be picked: the fields that the server itself lists, and one of each group
where "$mine AND params.seed = 2" -d sort=nothing
for field in $(jq -r '.errors[0].detail' <<<"$body" | sed 's/.*there are: //; s/,//g; s/params tags metrics/params.seed tags.lists metrics.train_loss metrics.best.train_loss/'); do
    for format in json jsonl; do
        where "$mine AND params.seed = 2" -d "fields=$field" -d format=$format
        equal "fields: $field as $format" "$status $(jq -c '[(.experiments[0]? // .) | .. | scalars] | length' <<<"$body")" "200 1"
    done
done
where "$mine AND params.seed = 2" -d fields=id,sweep,arm
equal "fields: the arm of what is part of no sweep" "$(jq -c '.experiments[0] | [.sweep, .arm]' <<<"$body")" "[null,null]"
# -- exports
where "$mine" -d format=csv -d sort=name --data-urlencode 'fields=name,tags."a key",tags.formula,params.optimizer.learning_rate,metrics.test_accuracy,state'
holds "CSV: type" "$headers" "Content-Type: text/csv; charset=utf-8; header=present"
holds "CSV: a file" "$headers" 'attachment; filename="experiments.csv"'
equal "CSV: header" "$(head -1 <<<"$body" | tr -d '\r')" 'name,tags.a key,tags.formula,params.optimizer.learning_rate,metrics.test_accuracy,state'
accuracy=$(curl -s "$api/experiments/$last" | jq .metrics.test_accuracy)
equal "CSV: a line" "$(sed -n 4p <<<"$body" | tr -d '\r')" "list 3,\"g3, \"\"q\"\"\",\"'=1+1\",0.003,$accuracy,succeeded"
equal "CSV: what is missing" "$(sed -n 5p <<<"$body" | tr -d '\r')" "list 4,,,0.001,,cancelled"
ask -H "Accept: text/csv" -G --data-urlencode "filter=$mine" "$api/experiments"
equal "CSV: all of it" "$status $(wc -l <<<"$body")" "200 5"
for column in id params.optimizer.learning_rate 'tags.a key' metrics.test_accuracy metrics.best.test_accuracy params.regularizers.datagrad.weight; do holds "CSV: column $column" ",$(head -1 <<<"$body" | tr -d '\r')," ",$column,"; done
where 'id < 0' -d format=csv -d fields=id,name; equal "CSV: of nothing" "$status $(tr -d '\r' <<<"$body")" "200 id,name"
ask -H "Accept: application/jsonl" -G --data-urlencode "filter=$mine" -d sort=name "$api/experiments"
holds "JSON Lines: type" "$headers" "Content-Type: application/jsonl"
equal "JSON Lines" "$status $(jq -sr '[.[].name] | join(" ")' <<<"$body")" "200 list 1 list 2 list 3 list 4"
equal "JSON Lines: as the list has it" "$(sed -n 3p <<<"$body")" "$(curl -s "$api/experiments/$last")"
where 'id < 0' -d format=jsonl; equal "JSON Lines: of nothing" "$status$body" "200"
where "$mine" -d format=jsonl -d limit=2 -d fields=name; equal "JSON Lines: limit" "$body" '{"name":"list 4"}
{"name":"list 3"}'
# -- actions by filter
act() { ask -d "$(jq -n --arg filter "$2" --arg action "$1" "{action: \$action, filter: \$filter} + ${3:-{\}}")" "$api/experiments/actions"; }
act delete "$mine AND params.seed = 1" '{dry_run: true}'
equal "by filter: dry run" "$status $(jq -c '[.done, .refused, .dry_run, .results[0].state]' <<<"$body")" '200 [2,0,true,"succeeded"]'
act delete "$mine AND name LIKE '%3'"; equal "by filter: delete" "$(jq -c '[.done, .refused, .results[0].id]' <<<"$body")" "[1,0,$last]"
where "$mine"; equal "by filter: it is gone" "$(names)" "list 4 list 2 list 1"
where "$mine" -d trashed=true; equal "filter in the trash" "$(names)" "list 3"
act undelete "$mine"; equal "by filter: undelete" "$(jq -c '[.done, .refused]' <<<"$body")" "[1,0]"
act cancel "$mine"; equal "by filter: each is told" "$(jq -c '[.done, .refused, (.results | map(.status) | unique)]' <<<"$body")" "[0,4,[409]]"
act cancel "id < 0"; equal "by filter: none" "$status $(jq -c '[.done, .refused, .results]' <<<"$body")" "200 [0,0,[]]"
problem "by filter: wrong" 422 'did you mean \"state\"' -d '{"action": "cancel", "filter": "id = 1 AND sate = 2"}' "$api/experiments/actions"
equal "by filter: where it is wrong" "$(jq -c '.errors[0] | [.pointer, .column]' <<<"$body")" '["/filter",12]'
problem "by filter and ids" 422 "not both" -d '{"action": "cancel", "filter": "id = 1", "ids": [1]}' "$api/experiments/actions"
problem "neither filter nor ids" 422 "either ids or a filter" -d '{"action": "cancel"}' "$api/experiments/actions"
