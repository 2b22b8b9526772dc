#!/bin/sh
# Every verb under limits: of addresses, open files, the size of a file, cores, a cgroup's
# quota, threads, and without HOME, TMPDIR and /dev/shm.  Each run ends in time, with success
# or with an exit code of the manual and a sentence.
# TAP; the program is ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"
quota=
trap 'test -z "$quota" || rmdir "$quota"; chmod -R u+w "$work"; rm -rf "$work"' EXIT

export OMP_WAIT_POLICY=passive          # threads that spin would count as work
"$voco" -q phantom -n 2 --size 64,64,64 --spacing 4,4,4 -o ct --labels truth || exit 99
"$voco" -q convert --preset abdomen --spacing 4 --pad 64 --pad-first none -o store \
    --labels 0-11 --label-folder truth ct || exit 99
"$build/tests/make_segweights" w.safetensors 12 1 12 32 abdomen 3 || exit 99
volume=ct/phantom-00000.nii.gz
"$voco" -q finetune seg -s store -f 12 --roi 32 --samples 1 --folds 1 --classes 12 \
    --epochs 1 -o trained || exit 99

quick='version info verify plan tasks plot model completion phantom'
slow='convert doctor predict eval embed finetune pretrain tune'
# far more than any of them takes, but for a sanitizer on a busy machine
seconds=$((60 * ${CK_TIMEOUT_MULTIPLIER:-1}))

# run VERB COMMAND...: COMMAND in front of one run of the verb
run() {
    verb=$1
    shift
    case $verb in
    version) set -- "$@" "$voco" --version ;;
    info | verify) set -- "$@" "$voco" "$verb" store ;;
    plan) set -- "$@" "$voco" plan -f 12 -b 1 --no-probe ;;
    tasks) set -- "$@" "$voco" tasks ;;
    plot) set -- "$@" "$voco" plot -o made.png trained ;;
    model) set -- "$@" "$voco" model inspect w.safetensors ;;
    completion) set -- "$@" "$voco" completion bash ;;
    phantom) set -- "$@" "$voco" phantom -n 1 --size 40,40,40 -o made ;;
    convert) set -- "$@" "$voco" convert --preset abdomen --spacing 8 -o made $volume ;;
    doctor) set -- "$@" "$voco" doctor . ;;
    predict) set -- "$@" "$voco" predict -w w.safetensors --spacing 8 -o made $volume ;;
    eval) set -- "$@" "$voco" eval -o made --bootstrap 10 truth truth ;;
    embed) set -- "$@" "$voco" embed -w w.safetensors -p none -o made.h5 $volume ;;
    finetune) set -- "$@" "$voco" finetune seg -s store -f 12 --roi 32 --samples 1 \
        --folds 1 --classes 12 --epochs 1 -o made ;;
    pretrain) set -- "$@" "$voco" pretrain --replay hash:1:1:1 -f 12 --steps 1 \
        --schedule constant -o made ;;
    tune) set -- "$@" "$voco" tune --for predict -f 12 -b 1 --roi 32 --classes 3 \
        -o made.json ;;
    esac
    chmod -R u+w made made.h5 2> err
    rm -rf made made.h5 made.png made.json
    timeout -k 5 $seconds "$@" > out 2> err
}

# judge RESULT NAME: the check's result.  LLVM's OpenMP ends the process where it finds no
# room for a thread (#34) or for its mark in /dev/shm (#179); GNU's needs no mark.
judge() {
    if [ "$1" != 0 ] && grep -Eq '^OMP: Error #(34|179)' err; then
        skip "$2" "$(sed -n 's/^OMP: Error/LLVM OpenMP error/p' err | head -n 1)"
        # an empty mark would be SIGBUS for a later process that has the same number
        find /dev/shm -name '__KMP_REGISTERED_LIB_*' -user "$(id -un)" -size 0 -exec rm -f {} +
    else
        ok "$@"
    fi
}

# each WANTED NAME "VERBS" COMMAND...: a check for each verb, which WANTED makes of $got
each() {
    wanted=$1 name=$2 verbs=$3
    shift 3
    for v in $verbs; do
        run "$v" "$@"
        got=$?
        $wanted
        judge $? "$v, $name: exit $got"
    done
}

# 127 and 1 come from the loader and from OpenMP, which do not find room before voco begins.
# 2 would be a command line that is wrong.
is_done_or_says_why() {
    case $got in
    0) true ;;
    1 | 3 | 4 | 5 | 6 | 7 | 8 | 127) grep -q '[a-z]' err || grep -q WRONG out ;;
    *) false ;;
    esac
}
is_done() { [ $got = 0 ]; }

under() { each is_done_or_says_why "$@"; }
does() { each is_done "$@"; }

# ulimits OPTION VALUE COMMAND...: the command under a limit of the shell
cat > ulimits << 'EOF'
#!/bin/sh
ulimit "$1" "$2" && shift 2 && exec "$@"
EOF
chmod +x ulimits

if ldd "$voco" 2> /dev/null | grep -q libasan; then
    skip "a limit of addresses" "the sanitizer takes terabytes of them"
else
    for kib in 60000 160000 200000 400000; do
        under "ulimit -v $kib" "$quick convert predict eval" ./ulimits -v $kib
    done
    under "ulimit -v 1000000" "$slow" ./ulimits -v 1000000
    does "ulimit -v 4000000" "$quick convert predict eval finetune" \
        env OMP_NUM_THREADS=2 ./ulimits -v 4000000
fi
does "16 open files" "$quick convert predict eval embed" ./ulimits -n 16
under "files of 512 bytes" "phantom plot convert predict eval embed finetune" \
    ./ulimits -f 1
if command -v taskset > /dev/null; then
    does "one core" "$quick predict" taskset -c "$(taskset -cp $$ | sed 's/.*: \([0-9]*\).*/\1/')"
else
    skip "one core" "no taskset"
fi
group=/sys/fs/cgroup/voco-limits-$$
if mkdir "$group" 2> err && [ -f "$group/cgroup.procs" ] &&
    sh -c 'echo 50000 100000 > "$0"/cpu.max' "$group" 2> err; then
    quota=$group
    does "half a core" "version info predict" sh -c 'echo $$ > "$0"/cgroup.procs; exec "$@"' \
        "$group"
else
    rmdir "$group" 2> err
    skip "half a core" "no cgroup with a quota can be made here"
fi
for threads in 1 64 many -3 ''; do
    does "OMP_NUM_THREADS='$threads'" "version info convert predict" \
        env OMP_NUM_THREADS="$threads"
done
does "without HOME and TMPDIR" "$quick predict eval" env -u HOME -u TMPDIR
if unshare -rm mount -t tmpfs -o ro,size=4k none /dev/shm 2> err; then
    does "without /dev/shm" "info predict" \
        unshare -rm sh -c 'mount -t tmpfs -o ro,size=4k none /dev/shm && exec "$@"' sh
else
    skip "without /dev/shm" "no namespace of mounts can be made here"
fi
finish
