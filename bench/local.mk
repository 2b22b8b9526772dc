# Measuring programs: built by make bench only.
EXTRA_PROGRAMS += bench/loader
bench_loader_SOURCES = bench/loader.c
bench_loader_LDADD = libvoco.la
