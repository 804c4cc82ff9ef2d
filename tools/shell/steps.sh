# Sourced by tools/setup, tools/test and tools/quickstart: plain progress lines, one log file per step.
#
# A step runs in the background while the shell waits for it, because bash runs a trap only between foreground
# commands: this way Ctrl-C and SIGTERM act at once, and end the step too.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
logs=$root/build-logs
step_pid=

say() { printf '%s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# run_step NAME TITLE REMEDY COMMAND...: says TITLE, runs COMMAND with its output in build-logs/NAME.log and an elapsed
# time every 20 s. On failure prints the log's last lines and REMEDY, and returns COMMAND's status.
run_step() {
  local name=$1 title=$2 remedy=$3; shift 3
  local log=$logs/$name.log started=$SECONDS status=0
  mkdir -p "$logs"
  say "$title"
  "$@" >"$log" 2>&1 </dev/null &
  step_pid=$!
  (
    trap 'kill "$sleeper" 2>/dev/null; exit 0' TERM
    while :; do
      sleep 20 & sleeper=$!
      wait "$sleeper"
      say "  ... $((SECONDS - started)) s"
    done
  ) &
  local ticker=$!
  wait "$step_pid" || status=$?
  step_pid=
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  [ "$status" -eq 0 ] && return 0
  {
    say "FAILED: $title (exit status $status). The end of ${log#"$root"/}:"
    tail -n 25 "$log" | cut -c1-220 | sed 's/^/  | /'
    [ -z "$remedy" ] || say "What to do: $remedy"
  } >&2
  return "$status"
}

# Ends the step that is running, if any: for traps.
stop_step() {
  [ -n "$step_pid" ] || return 0
  kill "$step_pid" 2>/dev/null || true
  wait "$step_pid" 2>/dev/null || true
  step_pid=
}

# configure DIRECTORY -DOPTION=VALUE...: meson setup, or a change of the options that differ where the directory exists.
configure() {
  local directory=$1; shift
  if [ ! -f "$root/$directory/build.ninja" ]; then
    meson setup "$root/$directory" "$root" "$@"
    return
  fi
  local changed
  # Setting an option to the value that it has makes meson configure everything again.
  changed=$(python3 - "$root/$directory/meson-info/intro-buildoptions.json" "$@" <<'PYTHON'
import json, sys
values = {o["name"]: o["value"] for o in json.load(open(sys.argv[1]))}
text = lambda v: str(v).lower() if isinstance(v, bool) else ",".join(v) if isinstance(v, list) else str(v)
print(*(a for a in sys.argv[2:] if text(values.get(a[2:].split("=")[0])) != a.split("=", 1)[1]))
PYTHON
  )
  # shellcheck disable=SC2086  # one word per option
  [ -z "$changed" ] || meson configure "$root/$directory" $changed
}
