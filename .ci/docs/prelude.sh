# What the commands of a page run with: failures are reported with their line, and servers run in the background.
set -o pipefail
set -o monitor
STEP_LINE=1
ALLOWED_CODE=0
SERVER_COUNT=0
SERVER_LOG="$LOGS/server-0.log"
declare -A SERVERS=()
exec </dev/null

# A process that writes to a pipe whose reader has what it needs ends with 141.
report() {
  case "$2:$3" in
    "$ALLOWED_CODE":* | 141:* | *:". "*) return 0 ;;
    *:"return 1") echo "FAULT $1 1 the server does not start" >&2 ;;
    *) echo "FAULT $1 $2 ${3//$'\n'/ }" >&2 ;;
  esac
}
trap 'report $((STEP_LINE + LINENO - 1)) $? "$BASH_COMMAND"' ERR

stop_process() { kill -TERM -- "-$1" 2>/dev/null && wait "$1" 2>/dev/null; return 0; }

# Stops the server that has this port.
stop_server() {
  local process=${SERVERS[$1]:-}
  if [ -n "$process" ]; then
    unset "SERVERS[$1]"
    stop_process "$process"
  fi
  return 0
}

# Waits until the server that was just started serves.
server_started() {
  local process=$1 port=$2 log=$SERVER_LOG
  SERVERS[$port]=$process
  SERVER_COUNT=$((SERVER_COUNT + 1))
  SERVER_LOG="$LOGS/server-$SERVER_COUNT.log"
  for _ in $(seq 300); do
    if ! kill -0 "$process" 2>/dev/null; then cat "$log" >&2; return 1; fi
    if [ "$port" = any ]; then
      if [ -s "$log" ]; then return 0; fi
    elif (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      return 0
    fi
    sleep 0.1
  done
  cat "$log" >&2
  return 1
}

stop_all() {
  trap - ERR
  for process in "${SERVERS[@]}"; do stop_process "$process"; done
  for process in $(jobs -p); do stop_process "$process"; done
  echo "PAGE COMPLETE" >&2
}
trap stop_all EXIT
