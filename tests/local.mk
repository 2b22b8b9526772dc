# A new test program is a line in test_programs: tests/test_NAME is made of
# tests/test_NAME.c, which defines test_suite (tests/test.h), and of the library.  A new
# script is a line in test_scripts; it begins with tests/tap.sh.  All tests speak TAP.
check_LTLIBRARIES = tests/libtest.la
tests_libtest_la_SOURCES = \
	tests/archive.h \
	tests/compare.c \
	tests/compare.h \
	tests/devices.h \
	tests/far.c \
	tests/far.h \
	tests/golden_device.h \
	tests/golden_model.c \
	tests/golden_model.h \
	tests/golden_read.c \
	tests/golden_read.h \
	tests/gradcase.h \
	tests/gradcheck.c \
	tests/gradcheck.h \
	tests/harness.c \
	tests/harness.h \
	tests/images.h \
	tests/levels.h \
	tests/loader_util.h \
	tests/main.c \
	tests/scratch.h \
	tests/store_util.h \
	tests/taught.h \
	tests/tensors.h \
	tests/test.h \
	tests/twin.h \
	tests/volfile.c \
	tests/volfile.h
LDADD = tests/libtest.la libvoco.la $(CHECK_LIBS)

test_programs = \
	tests/test_augment \
	tests/test_base \
	tests/test_block \
	tests/test_checkpoint \
	tests/test_cpu_attn \
	tests/test_cpu_conv \
	tests/test_cpu_gemm \
	tests/test_cpu_norm \
	tests/test_cut \
	tests/test_datalist \
	tests/test_deflate \
	tests/test_dense \
	tests/test_device \
	tests/test_device_rows \
	tests/test_device_volumes \
	tests/test_distort \
	tests/test_dry \
	tests/test_far \
	tests/test_finetune \
	tests/test_formats \
	tests/test_golden_entries \
	tests/test_golden_net \
	tests/test_golden_ops \
	tests/test_grad \
	tests/test_grad_losses \
	tests/test_hdf5 \
	tests/test_heads \
	tests/test_heads_views \
	tests/test_inputs \
	tests/test_kernels \
	tests/test_labels \
	tests/test_leak \
	tests/test_loader \
	tests/test_omni \
	tests/test_opt \
	tests/test_patches \
	tests/test_phantom \
	tests/test_pickle \
	tests/test_plainconv \
	tests/test_probe \
	tests/test_provenance \
	tests/test_report \
	tests/test_run \
	tests/test_safetensors \
	tests/test_score \
	tests/test_segloader \
	tests/test_semi \
	tests/test_sliding \
	tests/test_split \
	tests/test_step \
	tests/test_store \
	tests/test_store_crash \
	tests/test_store_damage \
	tests/test_torchfile \
	tests/test_trace \
	tests/test_transform \
	tests/test_tuning \
	tests/test_unetr \
	tests/test_unmap \
	tests/test_variants \
	tests/test_view \
	tests/test_views \
	tests/test_variants_step \
	tests/test_volume \
	tests/test_winograd \
	tests/test_zip
test_scripts = \
	tests/check-cli.sh \
	tests/check-info.sh \
	tests/check-man.sh \
	tests/cli_convert.sh \
	tests/cli_dense.sh \
	tests/cli_eval.sh \
	tests/cli_finetune.sh \
	tests/cli_heads.sh \
	tests/cli_labels.sh \
	tests/cli_leak.sh \
	tests/cli_model.sh \
	tests/cli_predict.sh \
	tests/cli_pretrain.sh \
	tests/cli_probe.sh \
	tests/cli_semi.sh \
	tests/cli_tasks.sh \
	tests/cli_torch.sh \
	tests/cli_torch_plainconv.sh \
	tests/cli_tune.sh \
	tests/cli_verify.sh \
	tests/cli_views.sh \
	tests/cli_variants.sh \
	tests/cli_volumes.sh \
	tests/faults.sh \
	tests/limits.sh \
	tools/check-includes.sh \
	tools/check-version.sh

check_PROGRAMS += $(test_programs) \
	tests/edit_weights \
	tests/faults/make_tiny \
	tests/faults/syscalls \
	tests/fuzz/replay \
	tests/make_dense \
	tests/make_dicom \
	tests/make_replay \
	tests/make_views
dist_check_SCRIPTS += $(test_scripts) tests/driver.sh tests/summary.sh
TESTS += $(test_programs) $(test_scripts) tests/fuzz/replay

# The corpora of the fuzzers, replayed; `make fuzz` builds the fuzzers themselves.
check_LTLIBRARIES += tests/fuzz/libtargets.la
tests_fuzz_libtargets_la_SOURCES = \
	tests/fuzz/batches.c \
	tests/fuzz/bytes.c \
	tests/fuzz/bytes.h \
	tests/fuzz/lists.c \
	tests/fuzz/settings.c \
	tests/fuzz/store.c \
	tests/fuzz/targets.def \
	tests/fuzz/targets.h \
	tests/fuzz/volumes.c \
	tests/fuzz/weights.c
tests_fuzz_replay_SOURCES = tests/fuzz/replay.c
tests_fuzz_replay_LDADD = tests/fuzz/libtargets.la libvoco.la

# Failures made on purpose: of allocations (a library to be preloaded), of system calls.
tests_faults_make_tiny_LDADD = libvoco.la
tests_faults_syscalls_LDADD =
tests/faults/memory.so: $(srcdir)/tests/faults/memory.c
	$(MKDIR_P) tests/faults
	$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -shared -o $@ $(srcdir)/tests/faults/memory.c
check_DATA = tests/faults/memory.so
CLEANFILES += tests/faults/memory.so

# With SIMDe the AVX-512 kernels run on any machine.
tests_test_kernels_SOURCES = tests/test_kernels.c
tests_test_kernels_CPPFLAGS = $(AM_CPPFLAGS)
tests_test_kernels_CFLAGS = $(AM_CFLAGS)
tests_test_winograd_SOURCES = tests/test_winograd.c
tests_test_winograd_CPPFLAGS = $(AM_CPPFLAGS)
tests_test_winograd_CFLAGS = $(AM_CFLAGS)
if HAVE_SIMDE
tests_test_kernels_SOURCES += simd/avx512.c simd/avx512bf16.c simd/emulated_avx512.h
tests_test_kernels_CPPFLAGS += -DVOCO_EMULATE_AVX512
tests_test_kernels_CFLAGS += -Wno-psabi
tests_test_winograd_SOURCES += simd/emulated_avx512.h simd/winograd_avx512.c
tests_test_winograd_CPPFLAGS += -DVOCO_EMULATE_AVX512
tests_test_winograd_CFLAGS += -Wno-psabi
endif

EXTRA_DIST += \
	simd/emulated_avx512.h \
	tests/faults/memory.c \
	tests/faults/verbs.sh \
	tests/fuzz/campaign.sh \
	tests/fuzz/corpus \
	tests/fuzz/dict \
	tests/fuzz/driver.c \
	tests/fuzz/seeds.py \
	tests/golden \
	tests/login-node.sh \
	tests/lsan.supp \
	tests/tap.sh \
	tests/torch_plainconv.py \
	tests/torch_roundtrip.py \
	tools/feature_rank.py \
	tools/golden_entries.py \
	tools/golden_dense.py \
	tools/golden_labels.py \
	tools/golden_metrics.py \
	tools/golden_plainconv.py \
	tools/golden_pt.py \
	tools/golden_sliding.py \
	tools/golden_transform.py \
	tools/golden_unwritten.py \
	tools/leak_table.sh \
	tools/leak_threshold.sh \
	tools/leak_variants.py \
	tools/reliability.sh \
	tools/replay_from_store.py

AM_TESTS_ENVIRONMENT = \
	OMP_NUM_THREADS=$${OMP_NUM_THREADS-2}; export OMP_NUM_THREADS; \
	OMP_WAIT_POLICY=$${OMP_WAIT_POLICY-passive}; export OMP_WAIT_POLICY; \
	ASAN_OPTIONS=handle_segv=0:$${ASAN_OPTIONS-}; export ASAN_OPTIONS; \
	LSAN_OPTIONS=suppressions=$(abs_srcdir)/tests/lsan.supp:print_suppressions=0:$${LSAN_OPTIONS-}; \
	export LSAN_OPTIONS; \
	VOCO_GOLDEN=$(srcdir)/tests/golden; export VOCO_GOLDEN; \
	VOCO_TUNE=none; export VOCO_TUNE; \
	srcdir=$(srcdir); export srcdir;

# Failed checks are lines of TAP; the exit status would count them once more.  What ends too
# early has no plan, which is an error.
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(srcdir)/tests/driver.sh \
	$(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
AM_LOG_DRIVER_FLAGS = --ignore-exit

# Behind automake's counts: reasons of what was skipped, and the slowest programs.
check-local: check-TESTS
	@$(SHELL) $(srcdir)/tests/summary.sh $(TEST_LOGS)
