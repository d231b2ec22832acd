# shellcheck shell=bash
# Shared by both jobs, which source it in the project's folder.

# Settings and secrets, lines `export NAME=value`, from LZN_ENV_FILE.
env_file=${LZN_ENV_FILE:-$HOME/.config/lzn/env}
if [[ -e $env_file ]]; then
    if [[ -n $(find -L "$env_file" -perm /077) ]]; then
        echo "$env_file contains secrets, and other users can read or change it: run chmod 600 $env_file" >&2
        exit 1
    fi
    # shellcheck disable=SC1090
    . "$env_file"
elif [[ -n ${LZN_ENV_FILE:-} ]]; then
    echo "$env_file, named by LZN_ENV_FILE, does not exist" >&2
    exit 1
fi
if [[ -e .venv/bin/activate ]]; then
    # shellcheck disable=SC1091
    . .venv/bin/activate
fi

# Why the job ends. time: Slurm's signal before the time limit, to this shell only; the job signals the running process
# and queues again. end: scancel, preemption or a requeue; Slurm itself signals all processes.
stop=''
trap 'stop=time; on_time' USR1
trap 'stop=${stop:-end}' TERM
on_time() { :; }

# Wait for a process and return its exit code. Signals to the shell do not end the wait.
wait_for() {
    local code
    while true; do
        code=0
        wait "$1" || code=$?
        if ((code <= 128)) || ! kill -0 "$1" 2> /dev/null; then return "$code"; fi
    done
}

# End the job after a stop. At the time limit, queue it again, at most LZN_MAX_RESTARTS times.
requeue_or_end() {
    if [[ $stop == time ]]; then
        if ((${SLURM_RESTART_COUNT:-0} >= ${LZN_MAX_RESTARTS:-100})); then
            echo "Not queued again: restarted ${SLURM_RESTART_COUNT:-0} times (LZN_MAX_RESTARTS)" >&2
            exit 1
        fi
        echo "The time limit is near: queued again"
        trap '' TERM # a requeue sends SIGTERM
        scontrol requeue "$SLURM_JOB_ID"
    fi
    exit 143
}
