# What the failure tests share: small inputs, a run of each verb on them, and the judgement
# of a run that was disturbed.  To be sourced with $voco, $build and $srcdir set.
#
# A run stands in a folder of its own and finds the inputs in ../in, so that the same run
# elsewhere writes the same bytes.

verbs='version info verify plan tasks model import export completion phantom convert
       doctor predict eval embed leak plot finetune resume pretrain tune'
tools=$build/tests/faults

export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive VOCO_TUNE=none

# prepare: makes ./in
prepare() {
    [ -d in ] && return
    rm -rf in.part
    mkdir in.part && (
        cd in.part &&
        "$voco" -q phantom -n 2 --size 40,40,40 --spacing 8,8,8 -o ct --labels truth &&
        "$voco" -q convert --preset abdomen --spacing 8 --pad 32 --pad-first none -o store \
            --labels 0-11 --label-folder truth ct &&
        "$voco" -q phantom -n 1 --size 64,64,64 --spacing 4,4,4 -o big &&
        "$tools/make_tiny" tiny.safetensors &&
        "$build/tests/make_segweights" swin.safetensors 12 1 12 32 abdomen 3 &&
        "$build/tests/make_replay" batch.h5 &&
        "$voco" -q finetune seg -s store -w tiny.safetensors --roi 32 --samples 1 --folds 2 \
            --epochs 2 -o trained
    ) > prepare.log 2>&1 && mkdir in.part/run && (
        ln -s . in.part/in
        cd in.part/run && run stop
        [ $? = 75 ] && mv made ../stopped && rm -r ../run ../in
    ) >> prepare.log 2>&1 || { cat prepare.log >&2; exit 99; }
    mv in.part in
}

# run VERB COMMAND...: one run of the verb with COMMAND in front; $said/out and $said/err
said=.
run() {
    verb=$1
    shift
    case $verb in
    version) set -- "$@" "$voco" --version ;;
    info | verify) set -- "$@" "$voco" "$verb" ../in/store ;;
    plan) set -- "$@" "$voco" plan -f 12 -b 1 --no-probe ;;
    tasks) set -- "$@" "$voco" tasks ;;
    model) set -- "$@" "$voco" model inspect ../in/tiny.safetensors ;;
    import) set -- "$@" "$voco" model import -o made.safetensors ../in/tiny.safetensors ;;
    export) set -- "$@" "$voco" model export -o made.pt ../in/tiny.safetensors ;;
    completion) set -- "$@" "$voco" completion bash ;;
    phantom) set -- "$@" "$voco" phantom -n 2 --size 24,24,24 -o made --labels made/truth ;;
    convert) set -- "$@" "$voco" convert --preset abdomen --spacing 8 -o made --threads 1 \
        --labels 0-11 --label-folder ../in/truth ../in/ct ;;
    doctor) set -- "$@" "$voco" doctor . ;;
    predict) set -- "$@" "$voco" predict -w ../in/tiny.safetensors --spacing 8 -o made ../in/ct ;;
    eval) set -- "$@" "$voco" eval -o made --bootstrap 10 ../in/truth ../in/truth ;;
    embed) set -- "$@" "$voco" embed -w ../in/swin.safetensors -p none -o made.h5 \
        ../in/big/phantom-00000.nii.gz ;;
    leak) set -- "$@" "$voco" leak ../in/store --against ../in/ct -o made ;;
    plot) set -- "$@" "$voco" plot -o made.png ../in/trained ;;
    finetune | resume | stop)
        [ "$verb" != resume ] || [ -e made ] || cp -r ../in/stopped made
        set -- "$@" "$voco" finetune seg -s ../in/store -w ../in/tiny.safetensors \
        --roi 32 --samples 1 --folds 2 --epochs 6 --val-epochs 2 --checkpoint-steps 1 \
        --checkpoint-minutes 0 --keep-last 2 -o made
        [ "$verb" != stop ] || set -- "$@" --stop-after 2 ;;
    pretrain) set -- "$@" "$voco" pretrain --replay ../in/batch.h5 -f 12 --group 4 \
        --schedule constant --precision f32 --steps 3 --checkpoint-steps 1 \
        --checkpoint-minutes 0 --keep-last 1 -o made ;;
    tune) set -- "$@" "$voco" tune --for predict -w ../in/tiny.safetensors -b 1 --roi 32 \
        -o made.json ;;
    esac
    timeout -k 5 "${seconds:-60}" "$@" > "$said/out" 2> "$said/err"
}

# found FOLDER: the files that must be equal in every run: what depends on the clock is not, nor are
# checkpoints, of which an interrupted run may keep others.  Of a store it is the hash, since HDF5
# notes the time and rejected volumes may come in another order.  What a killed process left
# half-written under a name of its own is left out, and judged by leftovers.
found() {
    [ ! -e "$1/made/manifest.jsonl" ] || (cd "$1" && hash_of_store)
    (cd "$1" && find made* -type f 2> /dev/null | grep -v -e '/config.json$' -e '/metrics.jsonl$' \
        -e '/events.out' -e '/tune.json$' -e '^made.json$' -e '/ckpt-' -e '/loss.png$' \
        -e '/shard-' -e '/manifest.jsonl$' -e '\.tmp-' | sort)
}

# leftovers: temporary files in a folder that nobody is writing to.  Those of a store and of a
# run go with the next run.
leftovers() {
    find . -name '*.tmp*' -o -name '.voco-*' |
        grep -v -e '/\.ckpt-' -e '/manifest.jsonl.tmp-'
}

# same: ./made* holds what the undisturbed run made, all of it
same() {
    [ -s "$ref/$1/files" ] || return 0
    found . > "$said/files"
    cmp -s "$said/files" "$ref/$1/files" || { why="other files"; return 1; }
    for f in $(grep '^made' "$said/files"); do
        cmp -s "$f" "$ref/$1/$f" || { why="$f differs"; return 1; }
    done
}

# hash_of_store: of the volumes in ./made and of all that says what they are
hash_of_store() { "$voco" verify made 2>&1 | tail -n 1 | sed 's/.*hash //'; }

# whole: each file that is there under its name is as the undisturbed run made it.  Growing
# files and those of the first of several passes are not compared.
whole() {
    [ -s "$ref/$1/files" ] || return 0
    for f in $(found . | grep '^made' | grep -v -e manifest.jsonl -e '\.part$' -e '/best.safetensors$' \
        -e '/best.json$' -e '\.tmp-' -e '/\.'); do
        [ -e "$ref/$1/$f" ] || { why="$f is new"; return 1; }
        cmp -s "$f" "$ref/$1/$f" || { why="$f differs"; return 1; }
    done
}

# reference VERB: the undisturbed run, in $ref/VERB
ref=../ref
reference() {
    [ -e "ref/$1/files" ] && return
    rm -rf "ref/$1"
    mkdir -p "ref/$1" && ln -sfn ../in ref/in
    (cd "ref/$1" && run "$1"; echo $? > status; found . > "$said/files")
    case $1-$(cat "ref/$1/status") in
    *-0 | leak-3) ;;
    *) echo "$1: the undisturbed run fails:" >&2; cat "ref/$1/err" >&2; exit 99 ;;
    esac
}

# judge VERB STATUS: sets $verdict, "ok" or what is wrong, of the run in the current folder
judge() {
    why=
    usual=$(cat "$ref/$1/status")
    case $2 in
    "$usual") { same "$1" || { [ "$1" = leak ] && grep -q 'no picture of' "$said/err" && why=; }; } && { [ "$1" != resume ] || grep -q 'going on at' "$said/err" ||
        { why="begun anew"; false; }; } ;;
    3 | 4 | 5 | 6 | 8 | 75) whole "$1" && { grep -q '[a-z]' "$said/err" || { why="no sentence"; false; }; } ;;
    137) whole "$1" ;;                  # killed, and that was the order
    *) why="status $2"; false ;;
    esac && { [ "$1" != resume ] || ls made | grep -q 'ckpt-[2-6]' ||
        { why="no checkpoint is left"; false; }; } && { [ "$2" = 137 ] || [ -z "$(leftovers)" ] || { why="left $(leftovers | head -1)"; false; }; }
    verdict=$why
    [ -n "$why" ] || verdict=ok
}

# again VERB: the same command in the same folder, undisturbed, completes what is there
again() {
    [ "$verdict" = ok ] && [ -s "$ref/$1/files" ] || return
    run "$1"
    got=$?
    [ $got = "$(cat $ref/$1/status)" ] && why= && same "$1" || verdict="again: status $got $why"
}
