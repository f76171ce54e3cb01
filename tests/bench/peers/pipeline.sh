#!/bin/bash
# pipeline.sh: an encrypted export as one would write it in a shell.
#
#   pipeline.sh CONNINFO QUERY CERTIFICATE FILE
#
# One line of JSON for each row of QUERY, compressed by zip, as S/MIME text for the certificate.
# COPY's own text form would double every backslash of the JSON, so it is CSV that quotes nothing.
set -euo pipefail

psql -X -q -d "$1" -c "COPY (SELECT row_to_json(r) FROM ($2) AS r)
                       TO STDOUT (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')" |
    zip -q - - |
    openssl cms -encrypt -binary -stream -aes256 -outform SMIME -out "$4" "$3"
