/*
 * main of the test programs: runs the program's suite, and tells the results as TAP while
 * they arrive.  Check's own TAP has neither skipped tests nor the number of a loop's turn,
 * so its log is read, which has a line for each test:
 *
 *   FILE:LINE:P|F|E:CASE:TEST:TURN: MESSAGE
 */
#include "tests/far.h"
#include "tests/test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct line {
    char file[512], tcase[128], test[256], result;
    int line, turn;
    const char *message;
};

/* False for a line that is not of a test: a headline, or the rest of a long message. */
static bool
parse(const char *text, struct line *ret)
{
    int message = 0;

    if (sscanf(text, "%511[^:]:%d:%c:%127[^:]:%255[^:]:%d: %n", ret->file, &ret->line,
               &ret->result, ret->tcase, ret->test, &ret->turn, &message) != 6
        || message == 0)
        return false;
    ret->message = text + message;
    return true;
}

/* Test n as TAP; true if it failed. */
static bool
tell(const struct line *a, int n)
{
    const size_t prefix = strlen(TEST_SKIPPED);
    const bool skipped = strncmp(a->message, TEST_SKIPPED, prefix) == 0;
    const bool failed = a->result != 'P' && !skipped;
    char turn[24] = "";

    if (a->turn > 0)
        snprintf(turn, sizeof turn, "[%d]", a->turn);
    printf("%s %d - %s: %s%s", failed ? "not ok" : "ok", n, a->tcase, a->test, turn);
    if (skipped)
        printf(" # SKIP %s\n", a->message + prefix);
    else if (failed)
        printf("\n# %s:%d: %s\n", a->file, a->line, a->message);
    else
        printf("\n");
    fflush(stdout);
    return failed;
}

/* All of a log; the exit status.  Children of tests may hold the pipe open for longer than
 * the suite runs, so Check's last headline ends it, too. */
static int
tell_all(FILE *log)
{
    char *text = NULL;
    size_t room = 0;
    ssize_t length;
    int tests = 0, failed = 0;
    bool ended = false;

    while (!ended && (length = getline(&text, &room, log)) > 0) {
        struct line a;

        if (text[length - 1] == '\n')
            text[length - 1] = '\0';
        if (parse(text, &a))
            failed += tell(&a, ++tests);
        else if (strncmp(text, "Running suite ", 14) != 0
                 && !(ended = strncmp(text, "Results for all suites", 22) == 0))
            printf("# %s\n", text);
    }
    free(text);
    if (!ended)
        printf("# the program ended before its suite did\n");   /* and there is no plan */
    else if (tests == 0)
        printf("1..0 # SKIP no test has the case or suite that was asked for\n");
    else
        printf("1..%d\n", tests);
    fflush(stdout);
    return !ended || failed > 0;
}

int
main(void)
{
    SRunner *runner;
    char path[32];
    int fd[2], status;
    pid_t reader;

    if (pipe(fd) != 0 || (reader = fork()) < 0) {
        perror("pipe or fork");
        return EXIT_FAILURE;
    }
    if (reader == 0) {
        close(fd[1]);
        _exit(tell_all(fdopen(fd[0], "r")));
    }
    close(fd[0]);
    far_init();
    runner = srunner_create(test_suite());
    snprintf(path, sizeof path, "/dev/fd/%d", fd[1]);
    srunner_set_log(runner, path);
    srunner_run_all(runner, getenv("CK_VERBOSITY") ? CK_ENV : CK_SILENT);
    srunner_free(runner);
    close(fd[1]);
    if (waitpid(reader, &status, 0) != reader)
        return EXIT_FAILURE;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}
