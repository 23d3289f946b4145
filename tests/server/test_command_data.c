/* gradreg data add: a file is copied to where specs can name it, whole, under a plain name, and
 * nothing is replaced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gradreg/dataset.h"
#include "server/commands.h"
#include "server/subprocess.h"
#include "tests/settings_builder.h"

static char folder[] = "/tmp/gradreg-command-XXXXXX";

static int set_up(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    const char *const argv[] = {"rm", "-rf", folder, NULL};
    return subprocess_run("/tmp", argv, "/dev/null", NULL) == GR_OK ? 0 : -1;
}

/* data add FILE [--as NAME] --data-dir <folder>/data, with FILE in the folder. */
static int add(const char *file, const char *as) {
    char path[200], data[200];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    snprintf(data, sizeof data, "%s/data", folder);
    char *argv[] = {(char[]){"data"},
                    (char[]){"add"},
                    path,
                    (char[]){"--data-dir"},
                    data,
                    as ? (char[]){"--as"} : NULL,
                    (char *)(uintptr_t)as,
                    NULL};
    return command_data(as ? 7 : 5, argv);
}

static void test_add(void **state) {
    (void)state;
    char path[200];
    snprintf(path, sizeof path, "%s/table.csv", folder);
    FILE *file = fopen(path, "w");
    fputs("a,y\n", file);
    for (int i = 0; i < 20; i++) fprintf(file, "%d,%d\n", i, i % 2);
    fclose(file);
    assert_int_equal(add("table.csv", NULL), 0);
    assert_int_equal(add("table.csv", NULL), 0); /* is there already, as it is */
    assert_int_equal(add("table.csv", "other.csv"), 0);
    file = fopen(path, "a");
    fputs("20,0\n", file);
    fclose(file);
    assert_int_equal(add("table.csv", NULL), 1);    /* with other content */
    assert_int_equal(add("table.csv", "mnist"), 2); /* is a data set */
    assert_int_equal(add("nothing.csv", NULL), 1);
    assert_int_equal(add("", "folder.csv"), 2); /* a folder is no file */
    static const char *const names[] = {"../x", "/x", ".x", "", "a/b"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(add("table.csv", names[i]), 2);

    snprintf(path, sizeof path, "%s/data/datasets", folder);
    gr_settings settings =
        settings_build(&gr_dataset_family, "{name: csv, file: other.csv, label: y}");
    gr_dataset *dataset;
    gr_error error = {0};
    if (gr_dataset_load(&settings, path, &dataset, &error) != GR_OK) fail_msg("%s", error.message);
    assert_int_equal(gr_dataset_describe(dataset)->training_samples, 16);
    gr_dataset_free(dataset);
    gr_settings_clear(&settings);
    snprintf(path, sizeof path, "%s/data/datasets/user/folder.csv", folder);
    assert_int_not_equal(access(path, F_OK), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_add)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
