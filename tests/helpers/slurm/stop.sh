#!/usr/bin/env bash
# Ends the Slurm that start.sh started in DIR, and every job that it runs: no process stays behind.
# Nothing in DIR is kept for a later start, so all are killed as they stand.
set -euo pipefail

dir=$(realpath -m "${1:?usage: stop.sh DIR}")

# carries PID VARIABLE=VALUE: whether the process is there, started with this in its environment.
carries() { [ -r "/proc/$1/environ" ] && grep -qszx "$2" "/proc/$1/environ"; }

# The pid of all that is left. A number in a pid file may be another process's by now.
ours() {
  local pid file
  for file in "$dir"/run/*.pid; do
    if [ -s "$file" ] && carries "$(<"$file")" "SLURM_CONF=$dir/slurm.conf"; then cat "$file"; fi
  done
  for pid in $(pgrep -x 'slurmd|slurmstepd'); do  # step daemons have no pid file, but a log
    if [ -n "$(find "/proc/$pid/fd" -lname "$dir/log/*" 2>/dev/null)" ]; then echo "$pid"; fi
  done
  # What jobs started, and not a shell that has SLURM_CONF set.
  for file in $(grep -lszx 'SLURMD_NODENAME=n[12]' /proc/[0-9]*/environ); do
    pid=$(cut -d/ -f3 <<<"$file")
    if carries "$pid" "SLURM_CONF=$dir/slurm.conf"; then echo "$pid"; fi
  done
}

# Again and again, for a job may be starting a process at this very moment.
for _ in $(seq 100); do
  mapfile -t found < <(ours | sort -u)
  if [ "${#found[@]}" -eq 0 ]; then exit 0; fi
  kill -KILL "${found[@]}" 2>/dev/null || true
  sleep 0.1
done
echo "still there: ${found[*]}" >&2
exit 1
