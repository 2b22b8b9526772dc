TEST_LIBS = libvoco.la $(CHECK_LIBS)
AM_TESTS_ENVIRONMENT = OMP_NUM_THREADS=2; export OMP_NUM_THREADS; \
	VOCO_GOLDEN=$(srcdir)/tests/golden; export VOCO_GOLDEN;

check_PROGRAMS += tests/test_base
tests_test_base_SOURCES = tests/test_base.c
tests_test_base_LDADD = $(TEST_LIBS)
TESTS += tests/test_base
