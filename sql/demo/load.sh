#!/bin/bash
# load.sh: fills one database with the demo contact centre.
#
#   load.sh CONNINFO
#
# CONNINFO is a libpq string of a superuser; the migrations must have been applied. Schema ucs is
# dropped and made anew: two contact centres in the same tables, harbour-insurance and
# lakeside-energy. UDM_DEMO_SCALE (default 1) multiplies the number of rows: 1 is 200,000
# interactions, 20,000 contacts and 600 attachments.
#
# Text comes from Debian's fortunes, attachments are files of the packages debian-faq (PDF),
# tango-icon-theme (PNG), sound-icons (WAV) and of /usr/share/common-licenses. Nothing is random: the
# same scale, files and day give the same rows, apart from the day's time.
set -euo pipefail

if [ $# -ne 1 ] || [ "${1#-}" != "$1" ]; then
    sed -n '4p' "$0" | sed 's/^# *//' >&2
    exit 2
fi
conninfo=$1
here=$(cd "$(dirname "$0")" && pwd)
scale=${UDM_DEMO_SCALE:-1}
if ! [[ $scale =~ ^[0-9]+([.][0-9]+)?$ ]]; then
    echo "load.sh: UDM_DEMO_SCALE is '$scale'; a decimal number is wanted, such as 1 or 0.05" >&2
    exit 2
fi

fortunes=/usr/share/games/fortunes
if ! compgen -G "$fortunes/*.dat" >/dev/null; then
    echo "load.sh: no fortunes in $fortunes: install the packages fortunes and fortunes-min" >&2
    exit 1
fi

# The lines are what COPY reads: kind, name, mime type, content as text, content as base64.
fortune_lines() {
    local file
    for file in "$fortunes"/*.dat; do
        iconv -c -f UTF-8 -t UTF-8 "${file%.dat}"
        printf '\n%%\n'
    done | sed -e 's/\\/\\\\/g' -e 's/\t/\\t/g' -e 's/\r/\\r/g' | awk '
        function flush() {
            if (length(text) > 20)
                printf "fortune\t\\N\t\\N\t%s\t\\N\n", text
            text = ""
        }
        $0 == "%" { flush(); next }
        { text = text == "" ? $0 : text "\\n" $0 }
        END { flush() }'
}

file_line() { # path mime < content
    printf 'file\t%s\t%s\t\\N\t' "$(basename "$1" .gz)" "$2"
    base64 -w 0
    printf '\n'
}

# At most $4 files of one kind, by size so that both a shell's and a mail's attachments appear.
file_lines() { # mime folder pattern count
    local file
    [ -d "$2" ] || return 0
    find "$2" -type f -name "$3" -size -1024k -size +0 -printf '%s %p\n' | LC_ALL=C sort -rn |
        awk -v n="$4" 'NR <= n { sub(/^[0-9]+ /, ""); print }' |
        while IFS= read -r file; do
            gzip -dcf -- "$file" | file_line "$file" "$1" # -f: what is not compressed as it is
        done
}

stream() {
    fortune_lines
    file_lines application/pdf /usr/share/doc '*.pdf' 6
    file_lines application/pdf /usr/share/doc/debian/FAQ '*.pdf.gz' 3
    file_lines image/png /usr/share/icons/Tango '*.png' 60
    file_lines audio/x-wav /usr/share/sounds/sound-icons '*.wav' 40
    file_lines text/plain /usr/share/common-licenses '[A-Z]*' 12
    # Larger than a mebibyte, so that it is read in slices.
    find /usr/share/common-licenses -type f -print0 | LC_ALL=C sort -z | xargs -0 cat |
        awk '{ all = all $0 "\n" } END { for (i = 0; i < 8; i++) printf "%s", all }' |
        file_line all-licences.txt text/plain
}

# A file rather than a pipe: when SQL fails, psql's message is the only one.
work=$(mktemp)
trap 'rm -f "$work"' EXIT
stream >"$work"
for mime in application/pdf image/png audio/x-wav; do
    if ! grep -q "^file	[^	]*	$mime	" "$work"; then
        echo "load.sh: no $mime files found: install debian-faq, tango-icon-theme and sound-icons" >&2
        exit 1
    fi
done

export PGOPTIONS="${PGOPTIONS:-} -c client_min_messages=warning"
psql -X -q -v ON_ERROR_STOP=1 -v scale="$scale" -d "$conninfo" -f "$here/load.sql" <"$work"
