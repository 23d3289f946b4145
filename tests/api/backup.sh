# Backup, restore and export, each beside a server at work.
data=$folder/backed
start --workers 1
edit='.training.evaluate_every = 5000 | .training.checkpoint_every = 200'
long=$(iterations 8 "$edit")
first=$(submit 200 '.analysis = {calibration: true}'); state "$first" succeeded
id=$(submit $long "$edit"); state "$id" running
for _ in $(seq 300); do [ "$(curl -s "$api/experiments/$id" | jq '.progress.iteration > 400')" = true ] && break; sleep 0.05; done
for i in 1 2 3; do # checkpoints come and go meanwhile
    output=$("$gradreg" backup "$folder/backup.$i" --data-dir "$data" 2>&1); equal "backup $i" "$?" 0
done
holds "backup: summary" "$output" " $id experiments"
output=$("$gradreg" backup "$folder/backup.1" --data-dir "$data" 2>&1); equal "backup to what is there" $? 1
output=$("$gradreg" backup --check "$folder/backup.3" 2>&1); equal "backup: check" $? 0
output=$("$gradreg" backup "$folder/backup.none" --data-dir "$folder/nothing" 2>&1); equal "backup of nothing" $? 1
check "backup: nothing half made" test -z "$(ls -d "$folder"/backup.*.partial 2>/dev/null)"
"$gradreg" export "$folder/exported" --data-dir "$data" >/dev/null 2>"$folder/export.err"; equal "export" "$? $(cat "$folder/export.err")" "0 "
"$gradreg" export "$folder/exported.tar" "$first" --data-dir "$data" >/dev/null 2>"$folder/export.err"; equal "export: archive" "$? $(cat "$folder/export.err")" "0 "
"$gradreg" export "$folder/exported" --data-dir "$data" >/dev/null 2>&1; equal "export to what is there" $? 1
for ids in 4711 "$first 4711" "$first $first" "$first x"; do
    output=$("$gradreg" export "$folder/exported.2" $ids --data-dir "$data" 2>&1); equal "export of $ids" $? 1
    holds "export of $ids: which" "$output" "${ids##* }"
    check "export of $ids: nothing half made" test ! -e "$folder/exported.2"
    "$gradreg" export "$folder/exported.2.tar" $ids --data-dir "$data" >/dev/null 2>&1; equal "export of $ids: archive" $? 1
    check "export of $ids: no archive half made" test -z "$(ls -d "$folder"/exported.2.* 2>/dev/null)"
done
state "$id" succeeded 120
finished=$(curl -s "$api/experiments/$id/metrics" | jq -S .series)
curl -s "$api/experiments/$id/model.safetensors" >"$folder/model.whole"
# export: the same bytes and numbers, and a spec that is the same again
curl -s "$api/experiments/$first/model.safetensors" | cmp - "$folder/exported/$first/model.safetensors"; equal "export: model" $? 0
equal "export: spec" "$(curl -s -d "@$folder/exported/$first/spec.json" "$api/experiments?validate_only=true" | jq -S .spec)" \
    "$(curl -s "$api/experiments/$first" | jq -S .spec)"
equal "export: experiment" "$(jq -S 'del(.environment)' "$folder/exported/$first/experiment.json")" "$(curl -s "$api/experiments/$first" | jq -S 'del(.environment)')"
equal "export: metrics" "$(tail -n +2 "$folder/exported/$first/metrics.csv" | sort)" \
    "$(curl -s "$api/experiments/$first/metrics" | jq -r '.series | to_entries[] | .key as $name | .value[] | "\($name),\(.[0]),\(.[1])"' | sort)"
equal "export: index" "$(cut -d, -f1 "$folder/exported/index.csv" | sort -n | tr '\n' ' ')" "id $(seq -s " " "$id") "
equal "export: archive's content" "$(tar -tf "$folder/exported.tar" | grep -c "gradreg-export/$first/")" 7
equal "export: analysis" "$(cat "$folder/exported/$first/analysis.json")" "$(curl -s "$api/experiments/$first/analysis")"
curl -s "$api/experiments/$first/log" | head -1 | cmp - <(head -1 "$folder/exported/$first/log.txt"); equal "export: log" $? 0
# restore
output=$("$gradreg" restore "$folder/backup.3" --data-dir "$data" 2>&1); equal "restore over a database" $? 1
stop
cp -r "$folder/backup.3" "$folder/backup.bad"
echo x >>"$(find "$folder/backup.bad/artifacts" -type f | head -1)"
output=$("$gradreg" restore "$folder/backup.bad" --data-dir "$folder/restored.bad" 2>&1); equal "restore of a damaged one" $? 1
holds "restore of a damaged one" "$output" "SHA-256"
check "restore of a damaged one: nothing made" test ! -e "$folder/restored.bad/gradreg.db"
jq '.files[1].name = "artifacts/../../x"' "$folder/backup.3/backup.json" >"$folder/backup.bad/backup.json"
output=$("$gradreg" restore "$folder/backup.bad" --data-dir "$folder/restored.bad" 2>&1); equal "restore of a forged list" $? 1
output=$("$gradreg" restore "$folder" --data-dir "$folder/restored.bad" 2>&1); equal "restore of no backup" $? 1
"$gradreg" restore "$folder/backup.3" --data-dir "$folder/restored" >/dev/null; equal "restore" $? 0
equal "restore: its owner's" "$(find "$folder/restored" -perm /077)" ""
data=$folder/restored
start --workers 1
state "$id" succeeded 120
check "restored: it went on from a checkpoint" test "$(curl -s "$api/experiments/$id" | jq .resumed_from_iteration)" -gt 0
equal "restored: to the same metrics" "$(curl -s "$api/experiments/$id/metrics" | jq -S .series)" "$finished"
curl -s "$api/experiments/$id/model.safetensors" | cmp - "$folder/model.whole"; equal "restored: to the same model" $? 0
stop; equal "restored: stop" "$code" 0
# what cannot be read in the middle of an export
find "$data/artifacts" -type f -name "$first-*" -delete
for target in cut cut.tar; do
    "$gradreg" export "$folder/$target" --data-dir "$data" >/dev/null 2>&1; equal "export without a file: $target" $? 1
    check "export without a file: nothing half made" test -z "$(ls -d "$folder"/cut* 2>/dev/null)"
done
data=
