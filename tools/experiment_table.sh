#!/bin/sh
# Table and picture of the experiment: called by tools/experiment.sh in its folder, with the
# seeds, when everything is scored.
# Writes table.md, which it prints, and dice.svg.
set -eu

# mean_row FILE: "Dice low high" of the mean of classes, from what voco eval printed
mean_row() { awk '/^mean of classes/ && !seen++ { print $5, $6, $8 }' "$1"; }

# difference FILE: "difference low high p" of the comparison
difference() { awk '/^minus/ { on = 1 } on && /^mean of classes/ { print $5, $6, $8, $9 }' "$1"; }

{
    echo "| seed | from scratch | pre-trained | difference | 95 % interval | p |"
    echo "|---|---|---|---|---|---|"
    for seed in "$@" all; do
        echo "$seed $(mean_row "scores/scratch-$seed.txt")" \
            "$(mean_row "scores/pretrained-$seed.txt")" \
            "$(difference "scores/pretrained-$seed.txt")"
    done | awk '{ printf "| %s | %.3f | %.3f | %+.3f | %+.3f to %+.3f | %s |\n",
                  $1, $2, $5, $8, $9, $10, $11 }'
    echo
    echo "| organ | from scratch | pre-trained | difference | 95 % interval | p |"
    echo "|---|---|---|---|---|---|"
    awk '
        FNR == 1 { file++; on = 0 }
        /^minus/ { on = 1 }
        !/^class/ { next }
        file == 1 { scratch[$2] = $4 }
        file == 2 && !on { trained[$2] = $4; order[++n] = $2 }
        file == 2 && on { change[$2] = sprintf("%+.3f | %+.3f to %+.3f | %s", $4, $5, $7, $8) }
        END {
            split("right lung,left lung,heart,liver", organ, ",")
            for (i = 1; i <= n; i++)
                printf "| %s | %.3f | %.3f | %s |\n", organ[order[i]], scratch[order[i]],
                       trained[order[i]], change[order[i]]
        }' scores/scratch-all.txt scores/pretrained-all.txt
} > table.md
cat table.md
