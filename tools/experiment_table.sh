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

# Mean Dice with its interval, arm beside arm.
awk '
    FNR == 1 { file++; on = 0 }
    /^minus/ { on = 1 }
    on { next }
    /^mean of classes/ { keep("all four", $5, $6, $8) }
    /^class/ { split("right lung,left lung,heart,liver", o, ","); keep(o[$2], $4, $5, $7) }
    function keep(name, dice, low, high) {
        if (file == 1) group[++n] = name
        at[file, name] = dice; from[file, name] = low; to[file, name] = high
    }
    function y(dice) { return 250 - 220 * dice }
    END {
        print "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 560 300\" " \
              "font-family=\"sans-serif\" font-size=\"12\">"
        print "<rect width=\"560\" height=\"300\" fill=\"white\"/>"
        for (d = 0; d <= 10; d += 2)
            printf "<path d=\"M50 %g H550\" stroke=\"#ddd\"/>" \
                   "<text x=\"42\" y=\"%g\" text-anchor=\"end\">%.1f</text>\n",
                   y(d / 10), y(d / 10) + 4, d / 10
        print "<text x=\"50\" y=\"18\">Dice, mean and 95 % interval:</text>"
        colour[1] = "#888"; colour[2] = "#1668b0"
        title[1] = "from scratch"; title[2] = "pre-trained"
        for (f = 1; f <= 2; f++) {
            printf "<circle cx=\"%d\" cy=\"14\" r=\"5\" fill=\"%s\"/>" \
                   "<text x=\"%d\" y=\"18\">%s</text>\n", 140 + 110 * f, colour[f],
                   150 + 110 * f, title[f]
            for (i = 1; i <= n; i++) {
                name = group[i]; x = 100 * i + 20 * f - 30
                printf "<path d=\"M%d %g V%g\" stroke=\"%s\" stroke-width=\"2\"/>" \
                       "<circle cx=\"%d\" cy=\"%g\" r=\"5\" fill=\"%s\"/>\n", x,
                       y(from[f, name]), y(to[f, name]), colour[f], x, y(at[f, name]),
                       colour[f]
            }
        }
        for (i = 1; i <= n; i++)
            printf "<text x=\"%d\" y=\"275\" text-anchor=\"middle\">%s</text>\n", 100 * i,
                   group[i]
        print "</svg>"
    }' scores/scratch-all.txt scores/pretrained-all.txt > dice.svg
echo "$PWD/table.md and dice.svg written"
