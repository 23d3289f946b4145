# The OpenAPI document: valid, and true of what the parts above left behind.
start --workers 1
sweep=$(jq -n --argjson base "$(spec 50)" '{name: "two", base: $base, axes: [{pointer: "/training/batch_size", values: [10, 20]}]}' |
    curl -s -d @- "$api/sweeps" | jq .id)
for _ in $(seq 600); do [ "$(curl -s "$api/sweeps/$sweep" | jq -r .state)" != finished ] || break; sleep 0.1; done
curl -s "$api/openapi.json" >"$folder/openapi.json"
curl -s "$api/experiments?limit=500" | jq '{experiments: .experiments}' >"$folder/experiments.json"
curl -s "$api/sweeps" >"$folder/answer.sweeps"
curl -s "$api/sweeps/$sweep" >"$folder/answer.sweep"
curl -s "$api/sweeps/$sweep/table" >"$folder/answer.table"
for name in session server workers healthz; do
    place=$api/$name; [ $name != healthz ] || place=$url/healthz
    curl -s "$place" >"$folder/answer.$name"
done
curl -s "$api/none" >"$folder/answer.none"
problem "replay of none" 404 "experiment 4711" -X POST "$api/experiments/4711/replay"
problem "no model" 404 "model" "$api/experiments/$(curl -s "$api/experiments?state=cancelled&limit=1" | jq '.experiments[0].id')/model.safetensors"
stop
python=python3
$python -c 'import openapi_spec_validator, jsonschema' 2>/dev/null || python=/usr/bin/python3
if $python -c 'import openapi_spec_validator' 2>/dev/null; then
    output=$($python -c 'import json, sys, openapi_spec_validator as v; v.validate(json.load(open(sys.argv[1])))' "$folder/openapi.json" 2>&1)
    equal "OpenAPI: valid" "$? $output" "0 "
else
    echo "openapi_spec_validator (Python) is missing: the OpenAPI document's form was not checked"
fi
if $python -c 'import jsonschema; jsonschema.Draft202012Validator' 2>/dev/null; then
    output=$($python - "$folder" ../../examples <<'EOF' 2>&1
import glob, json, sys
import jsonschema
folder, examples = sys.argv[1:]
document = json.load(open(folder + "/openapi.json"))
def check(schema, instance, name):
    validator = jsonschema.Draft202012Validator({"$ref": "#/components/schemas/" + schema,
                                                "components": document["components"]})
    for error in validator.iter_errors(instance):
        print(name, "is no", schema, list(error.absolute_path), error.message[:200])
for path in glob.glob(examples + "/**/*.json", recursive=True):
    spec = json.load(open(path))
    if "dataset" in spec:
        check("spec.experiment", spec, path)
    elif "base" in spec:
        check("SweepSpec", spec, path)
for item in json.load(open(folder + "/experiments.json"))["experiments"]:
    check("Experiment", item, "experiment %d" % item["id"])
    check("spec.experiment", item["spec"], "spec of experiment %d" % item["id"])
for name, schema in {"session": "Session", "server": "Server", "workers": "Workers", "healthz": "Health",
                     "sweeps": "SweepPage", "sweep": "Sweep", "table": "SweepTable", "none": "Problem"}.items():
    check(schema, json.load(open(folder + "/answer." + name)), name)
EOF
)
    equal "OpenAPI: answers are as it says" "$output" ""
else
    echo "jsonschema (Python) is missing: answers were not held to the OpenAPI document's schemas"
fi
