# Every example is a spec that is taken (on the generated digits: MNIST and CIFAR-10 are not there).
# Those that start from a model's file are what "gradreg run" takes; a server starts from an experiment of the same network.
trained=$(submit 1 '.model = {preset: "lenet"}')
state "$trained" succeeded
for file in ../../examples/*.json ../../examples/methods/*fine_tuning.json; do
    ask -d "$(jq 'if .init_from then .init_from = '$trained' else . end | if .dataset.name == "mnist" or .dataset.name == "cifar10" then .dataset.name = "digits" else . end' "$file")" \
        "$api/experiments?validate_only=true"
    equal "$file" "$status $(jq -r '.detail, (.errors[]? | .pointer + ": " + .detail)' <<<"$body")" "200 null"
done
for file in ../../examples/sweeps/*.json ../../examples/paper/*.json; do
    ask -d "$(jq '.base.dataset.name |= ({mnist: "digits", cifar10: "digits", cifar100: "digits"}[.] // .)' "$file")" "$api/sweeps?validate_only=true"
    equal "$file" "$status $(jq -r '.detail, (.errors[]? | .pointer + ": " + .detail)' <<<"$body")" "200 null"
done
