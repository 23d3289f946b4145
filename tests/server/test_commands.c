/* The binary itself: run, gradients and the table of commands. Skipped where GRADREG_BINARY is not
 * set. */
#include <errno.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/files.h"
#include "server/json.h"
#include "server/safetensors.h"

static char folder[] = "/tmp/gradreg-test-XXXXXX";

static const char quick[] =
    "{\"dataset\": {\"name\": \"digits\", \"train_size\": 100, \"validation_size\": 100}, "
    "\"model\": {\"preset\": \"mlp\", \"widths\": [8]}, "
    "\"regularizers\": [{\"type\": \"datagrad\", \"weight\": 1}], "
    "\"training\": {\"iterations\": 40, \"batch_size\": 20, \"evaluate_every\": 20}}";
static const char endless[] =
    "{\"dataset\": {\"name\": \"digits\", \"train_size\": 100, \"validation_size\": 100}, "
    "\"model\": {\"preset\": \"lenet\"}, "
    "\"training\": {\"iterations\": 1000000000, \"evaluate_every\": 1000000000}}";

static int set_up(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void write_text(const char *name, const char *text) {
    char path[256];
    gr_error error = {0};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (file_replace(path, text, strlen(text), &error) != GR_OK) fail_msg("%s", error.message);
}

/* The content of a file in the test's folder; NULL where there is none. Owned by the caller. */
static char *read_text(const char *name) {
    char path[256];
    void *bytes;
    size_t count;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return file_read(path, 1 << 24, &bytes, &count, NULL) == GR_OK ? bytes : NULL;
}

/* Runs `gradreg <arguments>` in the test's folder by the shell; output goes to the files out and
 * err. Returns the exit status. */
static int gradreg(const char *arguments) {
    char command[2048];
    if (!getenv("GRADREG_BINARY")) {
        printf("skipped: GRADREG_BINARY is not set\n");
        skip();
    }
    snprintf(command, sizeof command, "cd %s && '%s' %s >out 2>err", folder,
             getenv("GRADREG_BINARY"), arguments);
    const int status = system(command);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void assert_output(const char *name, const char *part) {
    char *text = read_text(name);
    if (!text || !strstr(text, part))
        fail_msg("%s does not hold \"%s\":\n%s", name, part, text ? text : "(no file)");
    free(text);
}

static void assert_no_output(const char *name) {
    char *text = read_text(name);
    assert_string_equal(text, "");
    free(text);
}

static void assert_no_file(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void the_table_of_commands(void **state) {
    (void)state;
    assert_int_equal(gradreg(""), 2);
    assert_output("err", "usage: gradreg COMMAND");
    assert_int_equal(gradreg("--help"), 0);
    assert_output("out", "gradients");
    assert_int_equal(gradreg("--version"), 0);
    assert_output("out", "gradreg " GRADREG_VERSION);
    assert_int_equal(gradreg("sumbit"), 2);
    assert_output("err", "no command is called \"sumbit\"; did you mean \"submit\"?");
    assert_int_equal(gradreg("xyzzy"), 2);
    assert_output("err", "see gradreg --help");
}

static void wrong_calls_are_told_what_is_wrong(void **state) {
    (void)state;
    static const struct {
        const char *call, *error;
    } wrong[] = {
        {"run", "gradreg run: an argument is missing\nusage: gradreg run SPEC.json"},
        {"run a.json b.json", "gradreg run: unexpected argument \"b.json\"\n"},
        {"run --outt x s.json", "there is no option \"--outt\"; did you mean \"--out\"?\n"},
        {"run --xyzzy s.json", "there is no option \"--xyzzy\"\n"},
        {"run -x s.json", "there is no option \"-x\"\n"},
        {"run s.json --out", "gradreg run: --out needs a value\n"},
        {"submit --watch=1 s.json", "gradreg submit: --watch takes no value\n"},
        {"predict m.safetensors --sp x", "\"--sp\" is short for more than one option\n"},
        {"gradients --spec x", "gradreg gradients: --weights is missing\n"},
        {"gradients x", "gradreg gradients: unexpected argument \"x\"\n"},
        {"data", "gradreg data: an argument is missing\n"},
        {"data get mnist", "gradreg data: \"get\" is neither list nor fetch nor add\n"},
        {"data fetch", "gradreg data: fetch what? NAME is missing\n"},
        {"data add", "gradreg data: add what? FILE is missing\n"},
        {"data list mnist", "gradreg data: unexpected argument \"mnist\"\n"},
        {"token create", "gradreg token: create what? NAME is missing\n"},
        {"token list me", "gradreg token: unexpected argument \"me\"\n"},
        {"token make me", "gradreg token: \"make\" is neither create nor list nor revoke\n"},
        {"study", "gradreg study: which study? --list shows those of the paper\n"},
        {"study --list toy1", "--list shows all: it does not go with \"toy1\"\n"},
        {"study toy1 --partial --again", "it does not go with --again\n"},
        {"predict m.safetensors --split tset", "gradreg predict: --split"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(gradreg(wrong[i].call), 2);
        assert_output("err", wrong[i].error);
        assert_output("err", "\nusage: gradreg ");
        assert_no_output("out");
    }
}

static void run_trains(void **state) {
    (void)state;
    write_text("quick.json", quick);
    assert_int_equal(gradreg("run quick.json --out a.safetensors --metrics a.jsonl"), 0);
    assert_output("out", "mlp, digits, datagrad 1: 6370 parameters, 40 iterations");
    assert_output("out", "\niteration 20: ");
    assert_output("out", "\niteration 40: ");
    assert_output("out", "test_accuracy ");
    assert_no_output("err");
    assert_output("a.jsonl", "{\"iteration\":20,\"train_loss\":");
    assert_output("a.jsonl", "\"test_accuracy\":");
    assert_int_equal(gradreg("run - --out b.safetensors <quick.json"), 0);
    /* The same spec, the same bytes; and the metadata that a user needs. */
    gr_arrays a, b;
    char path[256], *metadata, *again;
    gr_error error;
    snprintf(path, sizeof path, "%s/a.safetensors", folder);
    assert_int_equal(safetensors_read_file(path, &a, &metadata, &error), GR_OK);
    snprintf(path, sizeof path, "%s/b.safetensors", folder);
    assert_int_equal(safetensors_read_file(path, &b, &again, &error), GR_OK);
    assert_string_equal(metadata, again);
    assert_int_equal(a.count, b.count);
    for (size_t i = 0; i < a.count; i++)
        assert_memory_equal(a.items[i].data, b.items[i].data,
                            (size_t)gr_shape_elements(&a.items[i].shape) * sizeof(float));
    static const char *const members[] = {"mean",      "standard_deviation", "classes",
                                          "iteration", "data_sha256",        "spec"};
    cJSON *document = cJSON_Parse(metadata);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        assert_true(cJSON_IsString(cJSON_GetObjectItemCaseSensitive(document, members[i])));
    cJSON_Delete(document);
    free(metadata);
    free(again);
    gr_arrays_clear(&a);
    gr_arrays_clear(&b);
}

static void run_refuses(void **state) {
    (void)state;
    write_text("bad.json",
               "{\"dataset\": {\"name\": \"digits\"}, \"model\": {\"preset\": \"lenett\"}, "
               "\"sed\": 1, \"a\\u001b[2Jb\": 1}");
    assert_int_equal(gradreg("run bad.json --out bad.safetensors --metrics bad.jsonl"), 1);
    assert_output("err", "gradreg run: spec /model/preset: ");
    assert_output("err", "gradreg run: spec /sed: experiment has no member \"sed\"; did you mean "
                         "\"seed\"?");
    assert_output("err", "gradreg run: spec /a?[2Jb: "); /* no terminal is cleared */
    write_text("bad.json", "{\"dataset\": {\"name\": \"digits\", \"train_size\": 10}, \"model\": "
                           "{\"preset\": \"mlp\"}, \"training\": {\"batch_size\": 20}}");
    assert_int_equal(gradreg("run bad.json --out bad.safetensors --metrics bad.jsonl"), 1);
    assert_output("err", "gradreg run: spec /training/batch_size: ");
    write_text("bad.json",
               "{\"dataset\": {\"name\": \"mnist\"}, \"model\": {\"preset\": \"mlp\"}}");
    assert_int_equal(gradreg("run bad.json --data-dir nowhere --out bad.safetensors"), 1);
    assert_output("err", "gradreg run: spec /dataset");
    assert_output("err", "gradreg data fetch mnist");
    write_text("bad.json", "{\"dataset\": }");
    assert_int_equal(gradreg("run bad.json"), 1);
    assert_output("err", "gradreg run: line 1, column 13: expected a JSON value");
    assert_int_equal(gradreg("run none.json"), 1);
    assert_output("err", "none.json: cannot be opened: No such file");
    assert_int_equal(gradreg("run /dev/null"), 1);
    assert_output("err", "not a regular file");
    assert_no_file("bad.safetensors");
    assert_no_file("bad.jsonl");
    /* Known before the training, not after hours of it. */
    write_text("endless.json", endless);
    assert_int_equal(gradreg("run endless.json --out none/m.safetensors"), 1);
    assert_output("err", "none/m.safetensors: its folder cannot be written");
    assert_int_equal(gradreg("run endless.json --metrics none/m.jsonl"), 1);
    assert_output("err", "none/m.jsonl: cannot be written");
    write_text("quick.json", quick);
    assert_int_equal(gradreg("run quick.json --metrics /dev/full"), 1);
    assert_output("err", "/dev/full: cannot be written: No space left");
}

/* On a terminal: one line, drawn again and again; Ctrl-C ends it cleanly. */
static void a_terminal_gets_a_bar(void **state) {
    (void)state;
    if (!getenv("GRADREG_BINARY")) skip();
    write_text("endless.json", endless);
    const struct winsize size = {.ws_row = 24, .ws_col = 100};
    int terminal;
    const pid_t child = forkpty(&terminal, NULL, NULL, &size);
    if (child < 0 && (errno == ENOENT || errno == ENODEV)) {
        print_message("skipped: there are no pseudo-terminals here (/dev/pts is not mounted)\n");
        skip();
    }
    assert_true(child >= 0);
    if (child == 0) {
        if (chdir(folder) == 0)
            execl(getenv("GRADREG_BINARY"), "gradreg", "run", "endless.json", "--out",
                  "endless.safetensors", (char *)NULL);
        _exit(99);
    }
    static char screen[1 << 20];
    size_t length = 0;
    int bars = 0, status;
    bool sent = false;
    for (;;) {
        const ssize_t got = read(terminal, screen + length, sizeof screen - 1 - length);
        if (got <= 0) break;
        length += (size_t)got;
        screen[length] = '\0';
        bars = 0;
        for (const char *p = screen; (p = strstr(p, " it/s")); p++) bars++;
        if (bars >= 3 && !sent) {
            sent = true;
            assert_int_equal(write(terminal, "\x03", 1), 1); /* Ctrl-C */
        }
    }
    close(terminal);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 130)
        fail_msg("status %x\n%s", (unsigned)status, screen);
    assert_non_null(strstr(screen, "/1000000000"));
    assert_non_null(strstr(screen, "ETA "));
    assert_non_null(strstr(screen, "interrupted at iteration "));
    assert_null(
        strstr(screen, "\033[?25l")); /* a cursor that was never hidden needs no restoring */
    assert_no_file("endless.safetensors");
}

static void predict_writes(void **state) {
    (void)state;
    write_text("quick.json", quick);
    assert_int_equal(gradreg("run quick.json --out m.safetensors"), 0);
    assert_int_equal(gradreg("predict m.safetensors --out p.csv"), 0);
    assert_no_output("out");
    assert_no_output("err");
    char *all = read_text("p.csv");
    assert_int_equal(gradreg("predict m.safetensors"), 0);
    char *shown = read_text("out");
    assert_string_equal(all, shown);
    free(all);
    free(shown);
    /* A model from elsewhere: without metadata, with a spec that names its data. */
    char path[256];
    gr_arrays model = {0};
    gr_error error;
    snprintf(path, sizeof path, "%s/m.safetensors", folder);
    assert_int_equal(safetensors_read_file(path, &model, NULL, &error), GR_OK);
    snprintf(path, sizeof path, "%s/bare.safetensors", folder);
    assert_int_equal(safetensors_write_file(path, &model, NULL, &error), GR_OK);
    /* A training must not start from what has diverged. */
    memset(model.items[1].data, 0xFF, sizeof(float)); /* a NaN */
    snprintf(path, sizeof path, "%s/nan.safetensors", folder);
    assert_int_equal(safetensors_write_file(path, &model, NULL, &error), GR_OK);
    write_text("nan.json", "{\"dataset\": {\"name\": \"digits\"}, \"init_from\": "
                           "\"nan.safetensors\", \"model\": {\"preset\": \"mlp\", "
                           "\"widths\": [8]}}");
    assert_int_equal(gradreg("run nan.json"), 1);
    assert_output("err",
                  "gradreg run: spec /init_from: the array \"1.bias\" holds numbers that are "
                  "not finite");
    gr_arrays_clear(&model);
    assert_int_equal(gradreg("predict bare.safetensors"), 1);
    assert_output("err", "bare.safetensors: has no spec in its metadata: say with --spec");
    assert_int_equal(gradreg("predict bare.safetensors --spec quick.json --split train"), 0);
    assert_output("out", "index,label,predicted,correct,probability.0,");
    write_text("other.json", "{\"dataset\": {\"name\": \"digits\"}, "
                             "\"model\": {\"preset\": \"mlp\", \"widths\": [9]}}");
    assert_int_equal(gradreg("predict bare.safetensors --spec other.json"), 1);
    assert_output("err", "gradreg predict: bare.safetensors: the array \"1.weight\" is F32 8x784");
    write_text("other.json", "{\"dataset\": ");
    assert_int_equal(gradreg("predict bare.safetensors --spec other.json"), 1);
    assert_output("err",
                  "gradreg predict: the spec other.json cannot be used:\ngradreg predict: line");
}

static void predict_refuses(void **state) {
    (void)state;
    assert_int_equal(gradreg("predict"), 2);
    assert_int_equal(gradreg("predict m.safetensors --split all"), 2);
    assert_output("err", "--split must be train, validation or test");
    assert_int_equal(gradreg("predict none.safetensors"), 1);
    assert_output("err", "none.safetensors: cannot be opened: No such file");
    assert_int_equal(gradreg("predict m.safetensors --out none/p.csv"), 1);
    assert_output("err", "none/p.csv: its folder cannot be written");
    char command[512];
    snprintf(command, sizeof command, "cd %s && '%s' predict m.safetensors >/dev/full 2>err",
             folder, getenv("GRADREG_BINARY"));
    assert_int_not_equal(system(command), 0);
    assert_output("err", "standard output cannot be written: No space left");
    /* Trained with data that are not there, or not the same. */
    snprintf(command, sizeof command,
             "cd %s && mkdir -p d/datasets/user && printf 'x,y\\n' >d/datasets/user/t.csv && "
             "for i in 1 2 3 4 5 6 7 8 9; do printf \"$i,a\\n$i.5,b\\n\"; done "
             ">>d/datasets/user/t.csv",
             folder);
    assert_int_equal(system(command), 0);
    write_text("t.json",
               "{\"dataset\": {\"name\": \"csv\", \"file\": \"t.csv\", \"label\": \"y\"}, "
               "\"model\": {\"preset\": \"mlp\", \"widths\": [4]}, "
               "\"training\": {\"iterations\": 2, \"batch_size\": 4}}");
    assert_int_equal(gradreg("run t.json --data-dir d --out t.safetensors"), 0);
    assert_int_equal(gradreg("predict t.safetensors --data-dir d"), 0);
    assert_output("out", "label_name,predicted_name,");
    assert_int_equal(gradreg("predict t.safetensors --data-dir nowhere"), 1);
    assert_output("err", "spec /dataset/file: ");
    snprintf(command, sizeof command, "sed -i 's/^3,/33,/' %s/d/datasets/user/t.csv", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(gradreg("predict t.safetensors --data-dir d --out t.predictions.csv"), 1);
    assert_output("err", "t.safetensors: was trained with other data");
    assert_no_file("t.predictions.csv");
    assert_int_equal(gradreg("predict t.safetensors --data-dir d --spec t.json"), 0);
}

/* The analysis of a run, and the same of the model that it wrote. */
static void analyse_writes(void **state) {
    (void)state;
    char text[1024];
    snprintf(text, sizeof text, "%.*s, \"analysis\": {\"calibration\": true}}",
             (int)strlen(quick) - 1, quick);
    write_text("analysed.json", text);
    assert_int_equal(gradreg("run analysed.json --out m.safetensors --analysis r.json"), 0);
    assert_output("out", "calibration.ece ");
    assert_output("r.json", "{\"iteration\":40,\"settings\":{\"calibration\":{\"bins\":15}},"
                            "\"calibration\":{\"n\":");
    assert_int_equal(gradreg("analyse m.safetensors --out again.json"), 0);
    char *one = read_text("r.json"), *other = read_text("again.json");
    assert_string_equal(one, other);
    free(one);
    free(other);
    /* Another one, of a model whose spec asks for that. */
    write_text("lipschitz.json", "{\"lipschitz\": true}");
    assert_int_equal(gradreg("analyse m.safetensors --analysis lipschitz.json"), 0);
    assert_output("out", "\"bound\":");
    write_text("wrong.json", "{\"lipschits\": true}");
    assert_int_equal(gradreg("analyse m.safetensors --analysis wrong.json"), 1);
    assert_output("err", "/analysis/lipschits: analysis has no member \"lipschits\"; did you mean");
    write_text("function.json", "{\"function\": true}");
    assert_int_equal(gradreg("analyse m.safetensors --analysis function.json"), 1);
    assert_output("err", "leave function out");
    write_text("no.json", "{");
    assert_int_equal(gradreg("analyse m.safetensors --analysis no.json"), 1);
    assert_output("err", "no.json: ");
    assert_int_equal(gradreg("run quick.json --out plain.safetensors"), 0);
    assert_int_equal(gradreg("analyse plain.safetensors"), 1);
    assert_output("err", "say with --analysis what to measure");
    assert_int_equal(gradreg("run quick.json --analysis r.json"), 1);
    assert_output("err", "the spec asks for no analysis");
    assert_int_equal(gradreg("analyse"), 2);
}

static void gradients_refuses(void **state) {
    (void)state;
    write_text("g.json", "{\"model\": {\"input_shape\": [4], \"layers\": [{\"type\": \"linear\", "
                         "\"units\": 3}, {\"type\": \"attention\"}]}, \"seed\": 1}");
    const char *call = "gradients --spec g.json --weights w.safetensors --batch b.safetensors "
                       "--out g.safetensors";
    assert_int_equal(gradreg(call), 1);
    assert_output("err", "gradreg gradients: spec /model/layers/1/type: no layer is called "
                         "\"attention\"; there are linear");
    assert_output("err", "gradreg gradients: spec /seed: ");
    write_text("g.json", "{\"model\": {\"input_shape\": [4], \"layers\": [{\"type\": \"linear\", "
                         "\"units\": 3}]}}");
    assert_int_equal(gradreg(call), 1);
    assert_output("err", "w.safetensors: cannot be opened");
    write_text("w.safetensors", "x");
    assert_int_equal(gradreg(call), 1);
    assert_output("err", "w.safetensors: 1 bytes are too few");
    assert_no_file("g.safetensors");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_of_commands),
        cmocka_unit_test(wrong_calls_are_told_what_is_wrong),
        cmocka_unit_test(run_trains),
        cmocka_unit_test(run_refuses),
        cmocka_unit_test(a_terminal_gets_a_bar),
        cmocka_unit_test(predict_writes),
        cmocka_unit_test(predict_refuses),
        cmocka_unit_test(gradients_refuses),
        cmocka_unit_test(analyse_writes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
