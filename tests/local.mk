TEST_LIBS = libvoco.la $(CHECK_LIBS)
AM_TESTS_ENVIRONMENT = \
	OMP_NUM_THREADS=$${OMP_NUM_THREADS-2}; export OMP_NUM_THREADS; \
	OMP_WAIT_POLICY=$${OMP_WAIT_POLICY-passive}; export OMP_WAIT_POLICY; \
	ASAN_OPTIONS=handle_segv=0:$${ASAN_OPTIONS-}; export ASAN_OPTIONS; \
	LSAN_OPTIONS=suppressions=$(abs_srcdir)/tests/lsan.supp:print_suppressions=0:$${LSAN_OPTIONS-}; \
	export LSAN_OPTIONS; \
	VOCO_GOLDEN=$(srcdir)/tests/golden; export VOCO_GOLDEN; \
	VOCO_TUNE=none; export VOCO_TUNE; \
	srcdir=$(srcdir); export srcdir;

EXTRA_DIST += tests/golden tests/lsan.supp tests/tap.sh
EXTRA_DIST += \
	tools/golden_labels.py \
	tools/golden_metrics.py \
	tools/golden_plainconv.py \
	tools/golden_sliding.py \
	tools/feature_rank.py \
	tools/golden_transform.py \
	tools/leak_table.sh \
	tools/leak_variants.py \
	tools/replay_from_store.py
dist_check_SCRIPTS += tests/check-cli.sh tests/check-info.sh tests/check-man.sh tools/check-includes.sh
TESTS += tests/check-cli.sh tests/check-info.sh tests/check-man.sh tools/check-includes.sh

check_PROGRAMS += tests/test_base
tests_test_base_SOURCES = tests/test_base.c
tests_test_base_LDADD = $(TEST_LIBS)
TESTS += tests/test_base

check_PROGRAMS += tests/test_opt
tests_test_opt_SOURCES = tests/test_opt.c
tests_test_opt_LDADD = $(TEST_LIBS)
TESTS += tests/test_opt

check_PROGRAMS += tests/test_cpu_attn
tests_test_cpu_attn_SOURCES = tests/test_cpu_attn.c tests/twin.h
tests_test_cpu_attn_LDADD = $(TEST_LIBS)
TESTS += tests/test_cpu_attn

check_PROGRAMS += tests/test_cpu_conv
tests_test_cpu_conv_SOURCES = tests/test_cpu_conv.c tests/twin.h
tests_test_cpu_conv_LDADD = $(TEST_LIBS)
TESTS += tests/test_cpu_conv

check_PROGRAMS += tests/test_cpu_gemm
tests_test_cpu_gemm_SOURCES = tests/test_cpu_gemm.c tests/twin.h
tests_test_cpu_gemm_LDADD = $(TEST_LIBS)
TESTS += tests/test_cpu_gemm

check_PROGRAMS += tests/test_cpu_norm
tests_test_cpu_norm_SOURCES = tests/test_cpu_norm.c tests/twin.h
tests_test_cpu_norm_LDADD = $(TEST_LIBS)
TESTS += tests/test_cpu_norm

check_PROGRAMS += tests/test_device
tests_test_device_SOURCES = tests/compare.c tests/compare.h tests/devices.h \
	tests/harness.c tests/harness.h tests/tensors.h tests/test_device.c
tests_test_device_LDADD = $(TEST_LIBS)
TESTS += tests/test_device

check_PROGRAMS += tests/test_dry
tests_test_dry_SOURCES = tests/test_dry.c
tests_test_dry_LDADD = $(TEST_LIBS)
TESTS += tests/test_dry

check_PROGRAMS += tests/test_plainconv
tests_test_plainconv_SOURCES = tests/compare.c tests/compare.h tests/devices.h \
	tests/golden_read.c tests/golden_read.h tests/gradcheck.c tests/gradcheck.h \
	tests/tensors.h tests/test_plainconv.c
tests_test_plainconv_LDADD = $(TEST_LIBS)
TESTS += tests/test_plainconv

check_PROGRAMS += tests/test_golden_net
tests_test_golden_net_SOURCES = tests/compare.c tests/compare.h tests/devices.h \
	tests/golden_read.c tests/golden_read.h tests/tensors.h tests/test_golden_net.c
tests_test_golden_net_LDADD = $(TEST_LIBS)
TESTS += tests/test_golden_net

check_PROGRAMS += tests/test_golden_ops
tests_test_golden_ops_SOURCES = tests/compare.c tests/compare.h tests/devices.h \
	tests/golden_read.c tests/golden_read.h tests/test_golden_ops.c
tests_test_golden_ops_LDADD = $(TEST_LIBS)
TESTS += tests/test_golden_ops

check_PROGRAMS += tests/test_grad
tests_test_grad_SOURCES = tests/gradcheck.c tests/gradcheck.h tests/tensors.h \
	tests/test_grad.c
tests_test_grad_LDADD = $(TEST_LIBS)
TESTS += tests/test_grad

# With SIMDe the AVX-512 kernels run on any machine.
check_PROGRAMS += tests/test_kernels
tests_test_kernels_SOURCES = tests/test_kernels.c
tests_test_kernels_CPPFLAGS = $(AM_CPPFLAGS)
tests_test_kernels_CFLAGS = $(AM_CFLAGS)
tests_test_kernels_LDADD = $(TEST_LIBS)
if HAVE_SIMDE
tests_test_kernels_SOURCES += simd/avx512.c simd/avx512bf16.c simd/emulated_avx512.h
tests_test_kernels_CPPFLAGS += -DVOCO_EMULATE_AVX512
tests_test_kernels_CFLAGS += -Wno-psabi
endif
EXTRA_DIST += simd/emulated_avx512.h
TESTS += tests/test_kernels

check_PROGRAMS += tests/test_labels
tests_test_labels_SOURCES = tests/store_util.h tests/test_labels.c
tests_test_labels_LDADD = $(TEST_LIBS)
TESTS += tests/test_labels

check_PROGRAMS += tests/test_leak
tests_test_leak_SOURCES = tests/store_util.h tests/test_leak.c
tests_test_leak_LDADD = $(TEST_LIBS)
TESTS += tests/test_leak

check_PROGRAMS += tests/test_score
tests_test_score_SOURCES = tests/test_score.c
tests_test_score_LDADD = $(TEST_LIBS)
TESTS += tests/test_score

check_PROGRAMS += tests/test_segloader
tests_test_segloader_SOURCES = tests/store_util.h tests/test_segloader.c
tests_test_segloader_LDADD = $(TEST_LIBS)
TESTS += tests/test_segloader

check_PROGRAMS += tests/test_deflate
tests_test_deflate_SOURCES = tests/test_deflate.c
tests_test_deflate_LDADD = $(TEST_LIBS)
TESTS += tests/test_deflate

check_PROGRAMS += tests/test_split
tests_test_split_SOURCES = tests/test_split.c
tests_test_split_LDADD = $(TEST_LIBS)
TESTS += tests/test_split

check_PROGRAMS += tests/test_trace
tests_test_trace_SOURCES = tests/test_trace.c
tests_test_trace_LDADD = $(TEST_LIBS)
TESTS += tests/test_trace

check_PROGRAMS += tests/test_tuning
tests_test_tuning_SOURCES = tests/test_tuning.c
tests_test_tuning_LDADD = $(TEST_LIBS)
TESTS += tests/test_tuning

dist_check_SCRIPTS += tests/cli_tune.sh
TESTS += tests/cli_tune.sh

check_PROGRAMS += tests/test_transform
tests_test_transform_SOURCES = tests/test_transform.c
tests_test_transform_LDADD = $(TEST_LIBS)
TESTS += tests/test_transform

check_PROGRAMS += tests/test_report
tests_test_report_SOURCES = tests/test_report.c
tests_test_report_LDADD = $(TEST_LIBS) $(PNG_LIBS)
TESTS += tests/test_report

check_PROGRAMS += tests/test_store
tests_test_store_SOURCES = tests/store_util.h tests/test_store.c
tests_test_store_LDADD = $(TEST_LIBS)
TESTS += tests/test_store

check_PROGRAMS += tests/test_block
tests_test_block_SOURCES = tests/test_block.c
tests_test_block_LDADD = $(TEST_LIBS)
TESTS += tests/test_block

check_PROGRAMS += tests/test_loader
tests_test_loader_SOURCES = tests/store_util.h tests/test_loader.c
tests_test_loader_LDADD = $(TEST_LIBS)
TESTS += tests/test_loader

check_PROGRAMS += tests/test_volume
tests_test_volume_SOURCES = tests/scratch.h tests/test_volume.c tests/volfile.c \
	tests/volfile.h
tests_test_volume_LDADD = $(TEST_LIBS)
TESTS += tests/test_volume

check_PROGRAMS += tests/test_formats
tests_test_formats_SOURCES = tests/scratch.h tests/test_formats.c tests/volfile.c \
	tests/volfile.h
tests_test_formats_LDADD = $(TEST_LIBS)
TESTS += tests/test_formats

check_PROGRAMS += tests/test_datalist
tests_test_datalist_SOURCES = tests/scratch.h tests/test_datalist.c
tests_test_datalist_LDADD = $(TEST_LIBS)
TESTS += tests/test_datalist

check_PROGRAMS += tests/test_phantom
tests_test_phantom_SOURCES = tests/test_phantom.c
tests_test_phantom_LDADD = $(TEST_LIBS)
TESTS += tests/test_phantom

dist_check_SCRIPTS += tests/cli_convert.sh
TESTS += tests/cli_convert.sh

dist_check_SCRIPTS += tests/cli_eval.sh
TESTS += tests/cli_eval.sh

dist_check_SCRIPTS += tests/cli_leak.sh
TESTS += tests/cli_leak.sh

dist_check_SCRIPTS += tests/cli_tasks.sh
TESTS += tests/cli_tasks.sh

dist_check_SCRIPTS += tests/cli_labels.sh
TESTS += tests/cli_labels.sh

check_PROGRAMS += tests/test_store_crash
tests_test_store_crash_SOURCES = tests/store_util.h tests/test_store_crash.c
tests_test_store_crash_LDADD = $(TEST_LIBS)
TESTS += tests/test_store_crash

check_PROGRAMS += tests/test_store_damage
tests_test_store_damage_SOURCES = tests/store_util.h tests/test_store_damage.c
tests_test_store_damage_LDADD = $(TEST_LIBS)
TESTS += tests/test_store_damage

dist_check_SCRIPTS += tests/cli_verify.sh
TESTS += tests/cli_verify.sh

check_PROGRAMS += tests/test_winograd
tests_test_winograd_SOURCES = tests/test_winograd.c
tests_test_winograd_CPPFLAGS = $(AM_CPPFLAGS)
tests_test_winograd_CFLAGS = $(AM_CFLAGS)
tests_test_winograd_LDADD = $(TEST_LIBS)
if HAVE_SIMDE
tests_test_winograd_SOURCES += simd/emulated_avx512.h simd/winograd_avx512.c
tests_test_winograd_CPPFLAGS += -DVOCO_EMULATE_AVX512
tests_test_winograd_CFLAGS += -Wno-psabi
endif
TESTS += tests/test_winograd

check_PROGRAMS += tests/test_step
tests_test_step_SOURCES = tests/compare.c tests/compare.h tests/golden_model.c \
	tests/golden_model.h tests/golden_read.c tests/golden_read.h tests/gradcheck.c \
	tests/gradcheck.h tests/test_step.c
tests_test_step_LDADD = $(TEST_LIBS)
TESTS += tests/test_step

check_PROGRAMS += tests/test_sliding
tests_test_sliding_SOURCES = tests/compare.c tests/compare.h tests/golden_read.c \
	tests/golden_read.h tests/tensors.h tests/test_sliding.c
tests_test_sliding_LDADD = $(TEST_LIBS)
TESTS += tests/test_sliding

check_PROGRAMS += tests/test_unetr
tests_test_unetr_SOURCES = tests/compare.c tests/compare.h tests/devices.h \
	tests/golden_model.c tests/golden_model.h tests/golden_read.c tests/golden_read.h \
	tests/gradcheck.c tests/gradcheck.h tests/tensors.h tests/test_unetr.c
tests_test_unetr_LDADD = $(TEST_LIBS)
TESTS += tests/test_unetr

check_PROGRAMS += tests/test_unmap
tests_test_unmap_SOURCES = tests/tensors.h tests/test_unmap.c
tests_test_unmap_LDADD = $(TEST_LIBS)
TESTS += tests/test_unmap

check_PROGRAMS += tests/test_checkpoint
tests_test_checkpoint_SOURCES = tests/scratch.h tests/test_checkpoint.c
tests_test_checkpoint_LDADD = $(TEST_LIBS)
TESTS += tests/test_checkpoint

check_PROGRAMS += tests/test_safetensors
tests_test_safetensors_SOURCES = tests/scratch.h tests/test_safetensors.c
tests_test_safetensors_LDADD = $(TEST_LIBS)
TESTS += tests/test_safetensors

check_PROGRAMS += tests/make_dicom
tests_make_dicom_SOURCES = tests/make_dicom.c
tests_make_dicom_LDADD = libvoco.la

check_PROGRAMS += tests/make_segweights
tests_make_segweights_SOURCES = tests/make_segweights.c
tests_make_segweights_LDADD = libvoco.la

check_PROGRAMS += tests/make_replay
tests_make_replay_SOURCES = tests/make_replay.c
tests_make_replay_LDADD = libvoco.la

dist_check_SCRIPTS += tests/cli_pretrain.sh
TESTS += tests/cli_pretrain.sh

check_PROGRAMS += tests/test_pickle
tests_test_pickle_SOURCES = tests/scratch.h tests/test_pickle.c
tests_test_pickle_LDADD = $(TEST_LIBS)
TESTS += tests/test_pickle

check_PROGRAMS += tests/test_torchfile
tests_test_torchfile_SOURCES = tests/archive.h tests/scratch.h tests/test_torchfile.c
tests_test_torchfile_LDADD = $(TEST_LIBS)
TESTS += tests/test_torchfile

check_PROGRAMS += tests/test_zip
tests_test_zip_SOURCES = tests/archive.h tests/scratch.h tests/test_zip.c
tests_test_zip_LDADD = $(TEST_LIBS)
TESTS += tests/test_zip

dist_check_SCRIPTS += tests/cli_model.sh
TESTS += tests/cli_model.sh

dist_check_SCRIPTS += tests/cli_torch.sh tests/cli_torch_plainconv.sh
EXTRA_DIST += tests/torch_plainconv.py tests/torch_roundtrip.py tools/golden_pt.py
TESTS += tests/cli_torch.sh tests/cli_torch_plainconv.sh

dist_check_SCRIPTS += tests/cli_predict.sh
TESTS += tests/cli_predict.sh

# The corpora of the fuzzers, replayed; `make fuzz` builds the fuzzers themselves.
check_PROGRAMS += tests/fuzz/replay
tests_fuzz_replay_SOURCES = tests/fuzz/replay.c tests/fuzz/targets.c tests/fuzz/targets.h
tests_fuzz_replay_LDADD = libvoco.la
EXTRA_DIST += tests/fuzz/corpus
TESTS += tests/fuzz/replay
check_PROGRAMS += tests/test_finetune
tests_test_finetune_SOURCES = tests/test_finetune.c
tests_test_finetune_LDADD = $(TEST_LIBS)
TESTS += tests/test_finetune

dist_check_SCRIPTS += tests/cli_finetune.sh
TESTS += tests/cli_finetune.sh
