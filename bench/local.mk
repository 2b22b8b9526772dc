# Measuring programs: built by make bench only.
EXTRA_PROGRAMS += bench/bench
bench_bench_SOURCES = \
	bench/bench.c \
	bench/bench.h \
	bench/bench_losses.c \
	bench/bench_matrix.c \
	bench/bench_rows.c
bench_bench_LDADD = libvoco.la
EXTRA_DIST += bench/shapes.txt bench/README.md bench/compare-builds.sh

EXTRA_PROGRAMS += bench/loader
bench_loader_SOURCES = bench/loader.c
bench_loader_LDADD = libvoco.la

EXTRA_PROGRAMS += bench/transform
bench_transform_SOURCES = bench/transform.c
bench_transform_LDADD = libvoco.la

EXTRA_DIST += bench/objectives.sh
EXTRA_DIST += bench/compare-step.sh bench/peer/README.md bench/peer/pretrain_step.py
EXTRA_DIST += bench/compare-finetune.sh bench/peer/finetune_step.py bench/peer/peer.py
EXTRA_DIST += bench/compare-predict.sh bench/peer/predict.py
EXTRA_DIST += bench/compare-convert.sh bench/peer/convert.py

# Makes weights for compare-finetune.sh and compare-predict.sh, and for tests; needs no Check.
check_PROGRAMS += tests/make_segweights
tests_make_segweights_SOURCES = tests/make_segweights.c
tests_make_segweights_LDADD = libvoco.la
