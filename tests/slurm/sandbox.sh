#!/usr/bin/env bash
# A Slurm of one node for the tests: slurmctld, slurmd and munged, all of whose files lie in one folder.
#   tests/slurm/sandbox.sh install          the packages, with apt-get, if they are not there; needs root on Debian or Ubuntu
#   tests/slurm/sandbox.sh start DIR        daemons (again, after a kill: the queue is as it was)
#   tests/slurm/sandbox.sh kill DIR         slurmctld and slurmd at once, as a crash would
#   tests/slurm/sandbox.sh resume DIR       the node and held jobs, as an administrator would after a crash that made Slurm drain it
#   tests/slurm/sandbox.sh stop DIR         everything, jobs as well
# Clients find it by SLURM_CONF=DIR/slurm.conf. DIR must have a short name, for it holds sockets.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin

say() { echo "sandbox: $*" >&2; exit 1; }
end() { [ ! -e "$2" ] || kill "-$1" "$(cat "$2")" 2>/dev/null || true; }

install() {
    command -v slurmctld slurmd munged >/dev/null && return
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || say "no Slurm here, and it cannot be installed without root and apt-get"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends slurm-wlm munge; } >/dev/null 2>&1 || say "apt-get failed"
}

configure() {
    local host; host=$(hostname -s)
    head -c 1024 /dev/urandom > "$dir/munge.key" && chmod 400 "$dir/munge.key"
    mkdir -p "$dir/state" "$dir/spool"
    cat > "$dir/slurm.conf" <<CONF
ClusterName=sandbox
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$((20000 + $$ % 10000))
SlurmdPort=$((30000 + $$ % 10000))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
MpiDefault=none
ReturnToService=2
MaxArraySize=4
KillWait=2
MessageTimeout=100
OverTimeLimit=0
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 Boards=1 SocketsPerBoard=1 CoresPerSocket=4 ThreadsPerCore=1 RealMemory=20000 State=UNKNOWN
PartitionName=debug Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
}

start() {
    [ "$(id -u)" = 0 ] || say "the daemons need root"
    mkdir -p "$dir" && chmod 755 "$dir"
    [ -e "$dir/slurm.conf" ] || configure
    export SLURM_CONF=$dir/slurm.conf
    if ! { [ -e "$dir/munged.pid" ] && kill -0 "$(cat "$dir/munged.pid")" 2>/dev/null; }; then
        munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" --pid-file="$dir/munged.pid" \
            --log-file="$dir/munged.log" --seed-file="$dir/munge.seed" 2>/dev/null
    fi
    slurmctld -f "$SLURM_CONF"
    slurmd -f "$SLURM_CONF" -N "$(hostname -s)"
    for _ in $(seq 3000); do
        [ "$(sinfo --noheader --format=%T 2>/dev/null | tr -d '*')" = idle ] && return
        sinfo --noheader --format=%T 2>/dev/null | grep -qE '^(mixed|allocated|completing)' && return
        sleep 0.1
    done
    tail -n 5 "$dir"/slurm*.log >&2
    say "the daemons do not come up"
}

action=${1:-}
[ "$action" = install ] || dir=${2:?DIR}
case $action in
install) install ;;
start) start ;;
kill) end KILL "$dir/slurmctld.pid"; end KILL "$dir/slurmd.pid" ;;
resume)
    export SLURM_CONF=$dir/slurm.conf
    ! sinfo --noheader --format=%T | grep -qE '^(drain|down)' || scontrol update NodeName="$(hostname -s)" State=RESUME
    squeue --noheader --array --states=PENDING --format='%i %r' | awk 'tolower($0) ~ /held/ { print $1 }' |
        while read -r job; do scontrol release "$job"; done ;;
stop)
    export SLURM_CONF=$dir/slurm.conf
    timeout 100 scancel --me 2>/dev/null || true
    for _ in $(seq 300); do [ "$(timeout 10 squeue --noheader 2>/dev/null)" ] || break; sleep 0.1; done
    for daemon in slurmctld slurmd munged; do end TERM "$dir/$daemon.pid"; done ;;
*) say "install, start, kill, resume or stop" ;;
esac
