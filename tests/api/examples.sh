# Every example is a spec that is taken (on the generated digits, which have MNIST's shape, where MNIST is not there).
for file in ../../examples/*.json; do
    ask -d "$(jq 'if .dataset.name == "mnist" then .dataset.name = "digits" else . end' "$file")" \
        "$api/experiments?validate_only=true"
    equal "$file" "$status $(jq -r '.detail, (.errors[]? | .pointer + ": " + .detail)' <<<"$body")" "200 null"
done
