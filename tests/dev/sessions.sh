# shellcheck shell=bash
# sessions.sh: a check of ./dev lint: how sessions and names of the database are written.
#
# Every session of ours is set up before its first statement, which is done in one place for each kind, and
# every name of ours is said with its schema. (A name that is not does not resolve in such a session, so
# that whatever a suite runs has been looked at, too.)
lint_sessions() {
    local rc=0 found file number
    complain() { # WHAT, with the places in $found
        [ -n "$found" ] || return 0
        printf '%s\n%s\n' "$1" "$found"
        rc=1
    }
    found=$(grep -nE '\bPQ(connect|setdb|reset)[A-Za-z]*\(' -r mod_udm --include='*.c' | grep -vE '^mod_udm/pg/(client|connect)\.c:' || true)
    complain "a session that udm_pg_connect does not set up:"
    found=$(grep -nE '\bPQ(exec|prepare|sendQuery|sendPrepare)[A-Za-z]*\(' -r mod_udm --include='*.c' |
        grep -vE '^mod_udm/(pg/client|source/copy|source/slice|source/hold|source/steady)\.c:' || true)
    complain "a statement that pg/client.c does not send:"
    found=$(grep -nE '\bapr_dbd_(query|select|pquery|pselect|pvquery|pvselect|pbquery|pbselect)\b|ap_dbd_(prepare|acquire|cacquire)\b' \
        -r mod_udm --include='*.c' | grep -v '^[^:]*:[0-9]*: \*' || true)
    complain "a statement that pg/client.c does not send:"
    # A pooler takes no options, and its clients are what is tested with it.
    found=$(grep -nE '\bpsycopg\.(connect|AsyncConnection)|\bConnection\.connect\(' -r tests --include='*.py' |
        grep -vE '^tests/udmtest/(postgres|pooler)\.py:' || true)
    complain "a session that udmtest/postgres.py does not set up:"
    # Each script has one place that calls psql, and of ours only these do.
    found=$(grep -nE '^ *psql ' dev tests/dev/*.sh | grep -v '^tests/dev/demo\.sh:' || true)
    complain "psql outside of tests/dev/demo.sh:"
    for file in tests/dev/demo.sh sql/udm-migrate sql/demo/load.sh; do
        if [ "$(grep -cE '^ *psql -X ' "$file")" -ne 1 ] || ! grep -qrE 'search_path = pg_catalog, pg_temp' "$file" "${file%.sh}.sql" 2>/dev/null; then
            found=$file
            complain "psql in more places than one, or without a search_path:"
        fi
    done
    found=$(grep -nP '\b(INSERT INTO|DELETE FROM|LOCK TABLE|TRUNCATE TABLE|(ALTER|CREATE|DROP) (UNLOGGED )?(TABLE|VIEW|SEQUENCE|TYPE|DOMAIN|FUNCTION)|DROP INDEX|OR REPLACE FUNCTION|EXECUTE FUNCTION|REFERENCES|COMMENT ON (TABLE|COLUMN|FUNCTION))( IF (NOT )?EXISTS)? (?!udm\.|%)[a-z"]' \
        -r sql/migrations mod_udm/db --include='*.sql' --include='*.[ch]' || true
        grep -nP '\bUPDATE (?!udm\.)[a-z_]+( [a-z])? SET\b' -r sql/migrations mod_udm/db --include='*.sql' --include='*.[ch]' || true)
    complain "a name without its schema:"
    # Those before 0011 were given theirs by it.
    for file in sql/migrations/*.sql; do
        number=$(basename "$file")
        [ "$((10#${number%%_*}))" -ge 11 ] || continue
        found=$(awk '
            /CREATE (OR REPLACE )?FUNCTION/ { at = FNR; head = "" }
            at { head = head " " $0 }
            at && /(AS|BEGIN ATOMIC|RETURN) *(\$|\047|$)|[)] AS / {
                if (head !~ /SET search_path = pg_catalog, pg_temp/)
                    print FILENAME ":" at ": CREATE FUNCTION"
                at = 0
            }' "$file")
        complain "a function without SET search_path = pg_catalog, pg_temp:"
    done
    return "$rc"
}
