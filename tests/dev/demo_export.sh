# shellcheck shell=bash
# demo_export.sh: who the demo's user is to the API, and one export as they would make it.
#
# From demo.sh: $demo, the folder; $url, of the API; $key and $token, the credentials.

base64url() { basenc --base64url -w 0 | tr -d '='; }

# A JSON Web Token (RFC 7519) for the demo's user, signed with RS256, good for a day.
make_token() {
    local now head body
    now=$(date +%s)
    head=$(printf '{"alg":"RS256","typ":"JWT","kid":"demo-1"}' | base64url)
    body=$(printf '{"sub":"demo","iat":%d,"exp":%d,"contact_center_id":"harbour-insurance","authorities":["UDM UCSX Exporter","iWD Administrator"]}' \
        "$now" $((now + 86400)) | base64url)
    printf '%s.%s.%s' "$head" "$body" \
        "$(printf '%s.%s' "$head" "$body" | openssl dgst -sha256 -sign "$demo/secrets/token.key" -binary | base64url)"
}

write_env() {
    (
        umask 077
        cat >"$demo/env.new" <<CONF
UDM_URL=$url
UDM_API_KEY=$key
UDM_TOKEN=$token
UDM_PRIVATE_KEY=$demo/secrets/customer.key
UDM_CERTIFICATE=$demo/secrets/customer.crt
UDM_DSN=postgresql://udm_admin@${demo//\//%2F}%2Fpg/udm
CONF
        mv -f "$demo/env.new" "$demo/env"
    )
}

api() { # PATH CURL-ARGUMENTS...: prints the body; fails, with what the server said, above 399
    local path=$1 answer code
    shift
    # The credentials go through a file: a command line is everybody's to read.
    answer=$(curl -sS --noproxy '*' -w '\n%{http_code}' -K - "$@" "$url$path" <<CONF
header = "x-api-key: $key"
header = "Authorization: Bearer $token"
CONF
    ) || return 1
    code=${answer##*$'\n'}
    answer=${answer%$'\n'*}
    if [ "$code" -ge 400 ]; then
        printf '%s: %s %s\n' "$path" "$code" "$answer" >&2
        return 1
    fi
    printf '%s' "$answer"
}

demo_export() {
    local body job run='' status='' name link sha zip end from
    if ! api /v10/cipher >/dev/null 2>&1; then
        say "uploading the certificate: POST /v10/cipher/customer.crt"
        api /v10/cipher/customer.crt -F "file=@$demo/secrets/customer.crt" >/dev/null ||
            die "the certificate was not taken"
    fi
    from=$(date -u -d '30 days ago' +%Y-%m-%d)
    say "asking for an export, interactions since $from with attachments: POST /v10/export/jobs"
    body=$(jq -n --arg from "$from" --arg to "$(date -u -d tomorrow +%Y-%m-%d)" '{source: "UCS", type: "UCS",
        title: "Demo export", timeFrame: {dateFrom: $from, dateTo: $to}, schedulerParam: {immediately: true},
        jobParams: {type: "Interaction", media: [], exportAttachments: true}, suspended: false}')
    job=$(api /v10/export/jobs -H 'Content-Type: application/json' -d "$body" | jq .id) ||
        die "the job was not taken"
    end=$((SECONDS + 120))
    while [ "$SECONDS" -lt "$end" ]; do
        run=$(api "/v10/export/history?jobId=$job" | jq -c '.items[-1] // {}' || true)
        status=$(jq -r '.status // "none"' <<<"${run:-{\}}")
        case $status in
        COMPLETED) break ;;
        FAILED | CANCELLED) die "job $job: $status: $(jq -r .statusReason <<<"$run")" ;;
        esac
        sleep 0.2
    done
    [ "$status" = COMPLETED ] || die "job $job is $status after two minutes; see $demo/worker.log"
    name=$(jq -r .fileName <<<"$run")
    say "job $job is COMPLETED: $name, $(jq -r .fileSize <<<"$run") bytes"

    rm -rf "$demo/export"
    mkdir -m 0700 "$demo/export"
    link=$(api "/v10/files/$name" -o /dev/null -D - | sed -n 's/^[Ll]ocation: \([^[:cntrl:]]*\).*/\1/p')
    [ -n "$link" ] || die "GET /v10/files/$name gave no link"
    say "downloading through the pre-signed link"
    curl -sSf --noproxy '*' -o "$demo/export/$name" "$link" || die "the download failed"
    sha=$(api "/v10/file-metadatas?historyId=$(jq .id <<<"$run")" |
        jq -r --arg name "$name" '.items[] | select(.name == $name) | .sha256')
    printf '%s  %s\n' "$sha" "$demo/export/$name" | sha256sum -c --quiet || die "the SHA-256 differs"

    zip=$demo/export/${name%.smime}
    say "openssl smime -decrypt -inkey $demo/secrets/customer.key -in $name -out $(basename "$zip")"
    openssl smime -decrypt -inkey "$demo/secrets/customer.key" -in "$demo/export/$name" -out "$zip"
    unzip -q -o -d "$demo/export" "$zip"
    unzip -l "$zip"
    local file
    for file in "$demo"/export/*.json; do
        printf '%s, first line:\n  %s ...\n' "$(basename "$file")" "$(head -c 300 "$file" | head -1)"
    done
}
