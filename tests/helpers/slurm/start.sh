#!/usr/bin/env bash
# A Slurm of two nodes, n1 and n2, on this one host: for the tests. As root, without systemd.
#
#     eval "$(tests/helpers/slurm/start.sh DIR)"     # sets SLURM_CONF: sbatch, squeue, sacct find it by that
#     tests/helpers/slurm/stop.sh DIR
#
# DIR takes everything it writes. Started again in the same DIR, it stops what runs there and begins
# anew. Partitions: main (preempted by urgent), urgent, and small, which refuses what is longer than
# a minute and a user's third job.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
dir=$(realpath -m "${1:?usage: start.sh DIR}")
mark="# Written by advtrain's tests/helpers/slurm/start.sh"
export SLURM_CONF=$dir/slurm.conf  # also what stop.sh knows its processes by

if [ -e "$dir" ] && [ -n "$(ls -A "$dir")" ]; then
  grep -qsxF "$mark" "$SLURM_CONF" || { echo "$dir holds something else" >&2; exit 1; }
  "$here/stop.sh" "$dir"
  rm -rf "$dir"  # job numbers begin anew, so sacct must not know the old ones
fi
mkdir -p "$dir"/{db,log,run,spool/n1,spool/n2,state}
echo "$mark" >"$SLURM_CONF"

failed() {
  echo "Slurm did not start:" >&2
  tail -n 20 "$dir"/log/* >&2 || true
  "$here/stop.sh" "$dir"
}
trap failed ERR

# until_true WHAT COMMAND...: wait for it, two minutes at most.
until_true() {
  local what=$1
  shift
  for _ in $(seq 1200); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  echo "waited two minutes for $what" >&2
  return 1
}

# Another checkout may test on this host at the same time. The numbers lie below those that the
# system gives to outgoing connections and above those that docs/torchrun.sbatch makes of a job's
# number, and all are held until the last is found.
read -r ctld_port dbd_port n1_port n2_port < <(python3 - <<'PYTHON'
import random, socket
held = []
while len(held) < 4:
    try:
        one = socket.socket()
        one.bind(("", random.randrange(30000, 32000)))
        held.append(one)
    except OSError:
        pass
print(*(one.getsockname()[1] for one in held))
PYTHON
)

# --- who is who: munge, on a socket of its own
(umask 077 && head -c 128 /dev/urandom >"$dir/run/munge.key")
munge=$dir/run/munge.sock
munged --force --socket="$munge" --key-file="$dir/run/munge.key" --seed-file="$dir/run/munge.seed" \
  --pid-file="$dir/run/munged.pid" --log-file="$dir/log/munged.log"  # --force: DIR may be private

# --- the accounts: without them sacct, and so submitit, never learns how a lost job ended
export MYSQL_UNIX_PORT=$dir/run/mariadb.sock  # where slurmdbd's client library looks, too
mariadb-install-db --no-defaults --user=root --datadir="$dir/db" --skip-test-db \
  >"$dir/log/mariadb-install.log" 2>&1
setsid mariadbd --no-defaults --user=root --datadir="$dir/db" --socket="$MYSQL_UNIX_PORT" \
  --skip-networking --pid-file="$dir/run/mariadbd.pid" --innodb-flush-log-at-trx-commit=0 \
  >"$dir/log/mariadbd.log" 2>&1 </dev/null &
disown  # bash need not tell when it is killed
until_true "mariadbd" mariadb-admin --no-defaults --socket="$MYSQL_UNIX_PORT" ping

(umask 077 && cat >"$dir/slurmdbd.conf") <<CONF
AuthType=auth/munge
AuthInfo=socket=$munge
DbdHost=localhost
DbdPort=$dbd_port
SlurmUser=root
PidFile=$dir/run/slurmdbd.pid
LogFile=$dir/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
CONF

# --- Slurm itself
cat >>"$SLURM_CONF" <<CONF
ClusterName=advtrain
# Another Slurm of the tests on this host is to have other numbers: see docs/torchrun.sbatch.
FirstJobId=$((RANDOM % 9000 + 1))
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$ctld_port
SlurmUser=root
# A requeued job waits for cred_expire and a second: two minutes by default.
AuthInfo=socket=$munge,cred_expire=5
StateSaveLocation=$dir/state
SlurmctldPidFile=$dir/run/slurmctld.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdSpoolDir=$dir/spool/%n
SlurmdPidFile=$dir/run/slurmd.%n.pid
SlurmdLogFile=$dir/log/slurmd.%n.log

# No cgroups: a container has none to give.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none

AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$dbd_port
AccountingStoragePass=$munge
# Else the limit of the partition small would be words only.
AccountingStorageEnforce=limits
EnforcePartLimits=ALL

SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
# Look every second, and when anything happens.
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0,bf_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
# With this, preemption sends the signal of sbatch --signal, instead of SIGTERM.
SlurmctldParameters=preempt_send_user_signal
KillWait=2
# A silent node is lost after 26 s, however much shorter this is, and back when it answers again.
SlurmdTimeout=10
ReturnToService=2

# The host may have less than the nodes claim.
SlurmdParameters=config_overrides
NodeName=n1 Port=$n1_port NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000
NodeName=n2 Port=$n2_port NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000
PartitionName=DEFAULT Nodes=n1,n2
PartitionName=main Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=10
PartitionName=urgent PriorityTier=10 PreemptMode=OFF
PartitionName=small PriorityTier=1 MaxTime=1 QOS=small
CONF

slurmdbd
until_true "slurmdbd" sacctmgr --noheader show cluster
{
  sacctmgr --immediate add cluster advtrain
  sacctmgr --immediate add qos small MaxSubmitJobsPerUser=2
} >"$dir/log/sacctmgr.log"
slurmctld -c
for node in n1 n2; do slurmd -N "$node"; done
both_idle() { [ "$(sinfo --noheader --partition=main --states=idle --format=%D)" = 2 ]; }
until_true "two idle nodes" both_idle
echo "export SLURM_CONF=$SLURM_CONF"
