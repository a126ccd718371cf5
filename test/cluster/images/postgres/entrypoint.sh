# The part of the stock image's environment that the tests use: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, and
# /docker-entrypoint-initdb.d/*.sql on an empty PGDATA. Any other command is run as it is.
set -euo pipefail
if [ "${1:-}" != postgres ]; then
  exec "$@"
fi
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" /var/run/postgresql
  chown 999:999 "$PGDATA" /var/run/postgresql
  exec setpriv --reuid=999 --regid=999 --clear-groups "$BASH" "$0" "$@"
fi
user=${POSTGRES_USER:-postgres}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb --username="$user" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --auth-local=trust \
    --auth-host=scram-sha-256 --encoding=UTF8 --locale=C --no-sync --pgdata="$PGDATA"
  printf 'host all all all scram-sha-256\n' >> "$PGDATA/pg_hba.conf"
  pg_ctl --pgdata="$PGDATA" --options="-c listen_addresses='' -k /tmp" --wait start
  database=${POSTGRES_DB:-$user}
  if [ "$database" != postgres ]; then
    createdb --host=/tmp --username="$user" "$database"
  fi
  for file in /docker-entrypoint-initdb.d/*.sql; do
    [ -e "$file" ] || continue
    psql --host=/tmp --username="$user" --dbname="$database" --set=ON_ERROR_STOP=1 --quiet --file="$file"
  done
  pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop
fi
shift
exec postgres -D "$PGDATA" -k /tmp -c listen_addresses='*' "$@"
