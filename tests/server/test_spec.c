/* The spec: every fault with its place and remedy, canonical form, defaults of all tables, aliases.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/settings_parse.h"
#include "server/spec.h"

static const char small[] =
    "{\"dataset\": {\"name\": \"mnist\"}, \"model\": {\"preset\": \"lenet\"}}";

static spec *parse(const char *text) {
    spec *result = NULL;
    bool malformed;
    problems found = {0};
    if (spec_parse(text, strlen(text), &result, &malformed, &found) != GR_OK)
        fail_msg("%s: %s: %s", text, found.kept ? found.items[0].pointer : "?",
                 found.kept ? found.items[0].detail : "?");
    assert_int_equal(found.count, 0);
    problems_clear(&found);
    return result;
}

/* Up to four pointers, each with a part of its detail; there must be no others. */
struct bad {
    const char *text;
    const char *expected[4][2];
};

#define DATA "\"dataset\": {\"name\": \"mnist\"}"
#define MODEL "\"model\": {\"preset\": \"lenet\"}"
#define BOTH DATA ", " MODEL ", "

static const struct bad bad_specs[] = {
    {"[]", {{"", "found a list where an object"}}},
    {"{}", {{"/dataset", "is missing"}, {"/model", "is missing"}}},
    {"{" DATA "}", {{"/model", "is missing"}}},
    {"{" DATA ", \"modle\": {}}",
     {{"/modle", "did you mean \"model\"?"}, {"/model", "is missing"}}},
    {"{" BOTH "\"name\": 5}", {{"/name", "found the number 5 where a string or null is needed"}}},
    {"{" BOTH "\"name\": \"\"}", {{"/name", "an empty text"}}},
    {"{" BOTH "\"name\": \"a\\u001bb\"}", {{"/name", "control character (0x1B)"}}},
    {"{" BOTH "\"tags\": {\"a\": 1, \"b\": \"x\", \"b\": \"y\", \"\": \"z\"}}",
     {{"/tags/a", "found the number 1 where a string"},
      {"/tags/b", "twice"},
      {"/tags/", "an empty text"}}},
    {"{" BOTH "\"tags\": [\"a\"]}", {{"/tags", "an object of strings is needed"}}},
    {"{" BOTH "\"analysis\": {\"robustnes\": true, \"calibration\": 5, \"lipschitz\": []}}",
     {{"/analysis/robustnes", "did you mean \"robustness\"?"},
      {"/analysis/calibration", "found the number 5 where true or false, an object (calibration)"},
      {"/analysis/lipschitz", "found a list"}}},
    {"{" BOTH "\"analysis\": {\"robustness\": {\"epsilons\": [-1], \"attack\": \"gpd\"}}}",
     {{"/analysis/robustness/epsilons/0", "-1 is out of range"},
      {"/analysis/robustness/attack", "\"fgsm\", \"pgd\""}}},
    {"{" BOTH "\"analysis\": true}", {{"/analysis", "found true"}}},
    {"{" BOTH "\"seed\": -1}", {{"/seed", "-1 is out of range: it must be at least 0"}}},
    {"{" BOTH
     "\"optimizer\": {\"type\": \"adam\", \"learning_rate\": 1e-46, \"beta1\": 0.99999999999}}",
     {{"/optimizer/learning_rate", "in single precision: it must be greater than 0"},
      {"/optimizer/beta1", "in single precision"}}},
    {"{" BOTH "\"seed\": 1.5}", {{"/seed", "1.5 is not a whole number"}}},
    {"{" BOTH "\"seed\": 9007199254740992}", {{"/seed", "beyond 2^53 - 1"}}},
    {"{" BOTH "\"seed\": 1e300}", {{"/seed", "beyond 2^53 - 1"}}},
    {"{" BOTH "\"seed\": \"1\"}",
     {{"/seed", "found the string \"1\" where a whole number is needed"}}},
    {"{" BOTH "\"seed\": null}", {{"/seed", "found null where a whole number"}}},
    {"{" BOTH "\"seed\": 1, \"seed\": 2}", {{"/seed", "twice"}}},
    {"{\"dataset\": \"mnist\", " MODEL "}", {{"/dataset", "write {\"name\": \"mnist\"}"}}},
    {"{\"dataset\": {}, " MODEL "}", {{"/dataset/name", "is missing: it names the dataset"}}},
    {"{\"dataset\": {\"name\": \"mnits\"}, " MODEL "}",
     {{"/dataset/name", "did you mean \"mnist\"?"}}},
    {"{\"dataset\": {\"name\": 1}, " MODEL "}", {{"/dataset/name", "the name of a dataset"}}},
    {"{\"dataset\": {\"name\": \"mnist\", \"train-size\": 5}, " MODEL "}",
     {{"/dataset/train-size", "did you mean \"train_size\"?"}}},
    {"{\"dataset\": {\"name\": \"mnist\", \"augment\": {\"flip\": 1}}, " MODEL "}",
     {{"/dataset/augment/flip", "true or false"}}},
    {"{" DATA ", \"model\": {\"presett\": \"lenet\"}}",
     {{"/model/presett", "did you mean \"preset\"?"}}},
    {"{" DATA ", \"model\": {\"preset\": \"lenett\"}}",
     {{"/model/preset", "did you mean \"lenet\"?"}}},
    {"{" DATA ", \"model\": {}}", {{"/model/layers", "is missing"}}},
    {"{" DATA ", \"model\": {\"layers\": {\"type\": \"relu\"}}}",
     {{"/model/layers", "put it into [ ]"}}},
    {"{" DATA ", \"model\": {\"layers\": [{\"type\": \"conv2\"}, {}, {\"type\": \"conv2d\"}]}}",
     {{"/model/layers/0/type", "did you mean \"conv2d\"?"},
      {"/model/layers/1/type", "one of linear, conv2d"},
      {"/model/layers/2/filters", "is missing: number of output channels"},
      {"/model/layers/2/kernel", "is missing"}}},
    {"{" DATA ", \"model\": {\"layers\": [\"relu\"]}}",
     {{"/model/layers/0", "write {\"type\": \"relu\"}"}}},
    {"{" DATA ", \"model\": {\"layers\": [{\"type\": \"conv2d\", \"filters\": 0, \"kernel\": 1e3, "
     "\"padding\": \"sane\", \"stride\": [1]}]}}",
     {{"/model/layers/0/filters", "at least 1 and at most"},
      {"/model/layers/0/kernel", "1000 is out of range"},
      {"/model/layers/0/padding", "did you mean \"same\"?"},
      {"/model/layers/0/stride", "found a list where a whole number"}}},
    {"{" DATA ", \"model\": {\"layers\": [{\"type\": \"relu\", \"a/b~c\": 1}]}}",
     {{"/model/layers/0/a~1b~0c", "relu has no member"}}},
    {"{" DATA ", \"model\": {\"preset\": \"lenet\", \"preset\": \"mlp\"}}",
     {{"/model/preset", "twice"}}},
    {"{" DATA ", \"model\": {\"preset\": \"mlp\", \"widths\": [10, 0, \"x\"]}}",
     {{"/model/widths/1", "0 is out of range"}, {"/model/widths/2", "where a number is needed"}}},
    {"{" BOTH "\"regularizers\": {\"type\": \"datagrad\", \"weight\": 1}}",
     {{"/regularizers", "put it into [ ]"}}},
    {"{" BOTH "\"regularizers\": [{\"type\": \"datagrad\", \"weight\": 1, \"probe\": \"loss\"}]}",
     {{"/regularizers/0/probe", "datagrad fixes this to \"loss\""}}},
    {"{" BOTH "\"regularizers\": [{\"type\": \"datagrad\", \"weigth\": 1}]}",
     {{"/regularizers/0/weigth", "did you mean \"weight\"?"},
      {"/regularizers/0/weight", "is missing"}}},
    {"{" BOTH "\"optimizer\": {\"learning_rate\": 1}}", {{"/optimizer/type", "is missing"}}},
    {"{" BOTH "\"optimizer\": {\"type\": \"adam\", \"learning_rate\": 0}}",
     {{"/optimizer/learning_rate", "greater than 0"}}},
    {"{" BOTH "\"training\": {\"batch_size\": 1000000000}}",
     {{"/training/batch_size", "out of range"}}},
    {"{" BOTH "\"training\": {\"iterations\": true}}",
     {{"/training/iterations", "found true where a whole number"}}},
};

static void bad_specs_name_every_place(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_specs / sizeof *bad_specs; i++) {
        const struct bad *bad = &bad_specs[i];
        spec *result;
        bool malformed;
        problems found = {0};
        assert_int_equal(spec_parse(bad->text, strlen(bad->text), &result, &malformed, &found),
                         GR_INVALID);
        assert_null(result);
        assert_false(malformed);
        size_t expected = 0;
        while (expected < 4 && bad->expected[expected][0]) expected++;
        for (size_t p = 0; p < expected || p < found.kept; p++) {
            const char *pointer = p < found.kept ? found.items[p].pointer : "(none)";
            const char *detail = p < found.kept ? found.items[p].detail : "(none)";
            if (p >= expected || p >= found.kept || strcmp(pointer, bad->expected[p][0]) != 0 ||
                !strstr(detail, bad->expected[p][1]))
                fail_msg("%s\nproblem %zu: \"%s\": %s\nexpected: \"%s\": %s", bad->text, p, pointer,
                         detail, p < expected ? bad->expected[p][0] : "(none)",
                         p < expected ? bad->expected[p][1] : "(none)");
        }
        problems_clear(&found);
    }
}

static void text_that_is_not_json_is_malformed(void **state) {
    (void)state;
    spec *result;
    bool malformed;
    problems found = {0};
    assert_int_equal(spec_parse("{\"seed\":}", 9, &result, &malformed, &found), GR_INVALID);
    assert_true(malformed);
    assert_int_equal(found.count, 1);
    assert_non_null(strstr(found.items[0].detail, "line 1, column 9"));
    problems_clear(&found);
}

static const char *const good_specs[] = {
    small,
    "{\"seed\": 9007199254740991, " BOTH "\"name\": \"caf\xC3\xA9\", \"tags\": {\"paper\": "
    "\"1712.09936\", \"note\": \"\"}}",
    "{\"seed\": 1e3, " BOTH "\"training\": {\"iterations\": 1000.0}}",
    "{" BOTH "\"regularizers\": [{\"type\": \"datagrad\", \"weight\": 50}, {\"type\": "
    "\"weight_decay\", \"weight\": 0.0005}, {\"type\": \"spectreg\", \"weight\": "
    "0.030000000000000002, \"per\": \"sample\"}]}",
    "{" DATA ", \"model\": {\"layers\": [{\"type\": \"conv2d\", \"filters\": 6, \"kernel\": 5, "
    "\"padding\": \"same\"}, {\"type\": \"conv2d\", \"filters\": 6, \"kernel\": 5, \"padding\": "
    "1}, "
    "{\"type\": \"flatten\"}, {\"type\": \"linear\", \"units\": 10}]}}",
    "{" DATA ", \"model\": {\"input_shape\": [1, 28, 28], \"layers\": []}}",
    "{" BOTH "\"schedule\": {\"type\": \"piecewise\", \"boundaries\": [0.1], \"factors\": [1, "
    "0.30000000000000004]}}",
    "{" BOTH "\"analysis\": {\"gradient_norms\": true, \"robustness\": {\"attack\": \"fgsm\", "
    "\"epsilons\": [0.05, 0.1]}}}",
};

static void canonical_form_is_a_fixed_point(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof good_specs / sizeof *good_specs; i++) {
        spec *first = parse(good_specs[i]);
        char *canonical = spec_canonical(first);
        spec *second = parse(canonical);
        char *again = spec_canonical(second);
        assert_string_equal(again, canonical);
        assert_string_equal(first->name, second->name);
        free(canonical);
        free(again);
        spec_free(first);
        spec_free(second);
    }
}

static void canonical_form_holds_every_member(void **state) {
    (void)state;
    spec *parsed = parse(good_specs[3]);
    cJSON *document = spec_document(parsed);
    size_t members = 0;
    for (const cJSON *child = document->child; child; child = child->next, members++)
        assert_string_equal(child->string, spec_family.kinds[0]->options[members].name);
    /* All but what was not asked for: a spec without an analysis is what it was before there were
     * any, so that it is found again. */
    assert_int_equal(members, spec_family.kinds[0]->option_count - 1);
    assert_string_equal(spec_family.kinds[0]->options[members].name, "analysis");
    char *text = json_text(document);
    assert_non_null(strstr(text, "\"ramp\":null,\"probe\":\"loss\",\"norm\":\"l2\""));
    assert_null(strstr(text, "datagrad\",\""));
    assert_non_null(strstr(text, "\"weight\":0.030000000000000002"));
    assert_non_null(strstr(text, "{\"preset\":\"lenet\",\"dropout\":null,\"batchnorm\":false}"));
    free(text);
    cJSON_Delete(document);
    assert_string_equal(parsed->name,
                        "lenet, mnist, datagrad 50, weight_decay 0.0005, spectreg 0.03 per sample");
    spec_free(parsed);
}

static void analyses_are_filled_in_where_they_are_asked_for(void **state) {
    (void)state;
    static const char *const texts[][2] = {
        {"{" BOTH "\"analysis\": {\"calibration\": true, \"lipschitz\": false, \"transitions\": "
         "{\"paths\": 7}, \"function\": null}}",
         "\"analysis\":{\"transitions\":{\"paths\":7,\"points\":500},\"calibration\":{\"bins\":15}}"
         "}"},
        {"{" BOTH "\"analysis\": {\"calibration\": false}}", "\"init_from\":null}"},
        {"{" BOTH "\"analysis\": {}}", "\"init_from\":null}"},
        {"{" BOTH "\"analysis\": null}", "\"init_from\":null}"}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        spec *parsed = parse(texts[i][0]);
        char *text = spec_canonical(parsed);
        const char *end = text + strlen(text) - strlen(texts[i][1]);
        assert_string_equal(end, texts[i][1]);
        assert_true((spec_plan(parsed).analysis != NULL) == (i == 0));
        free(text);
        spec_free(parsed);
    }
}

static void explicit_layers_have_no_preset(void **state) {
    (void)state;
    spec *parsed = parse(good_specs[4]);
    char *text = spec_canonical(parsed);
    assert_non_null(
        strstr(text, "\"model\":{\"input_shape\":null,\"layers\":[{\"type\":\"conv2d\""));
    assert_non_null(strstr(text, "\"padding\":\"same\""));
    assert_non_null(strstr(text, "\"padding\":1"));
    free(text);
    spec_free(parsed);
}

static void plan_borrows_the_parts(void **state) {
    (void)state;
    spec *parsed = parse("{\"seed\": 7, " BOTH
                         "\"regularizers\": [{\"type\": \"weight_decay\", \"weight\": 1}]}");
    const gr_plan plan = spec_plan(parsed);
    assert_int_equal(plan.seed, 7);
    assert_int_equal(plan.regularizer_count, 1);
    assert_string_equal(plan.dataset->kind->name, "mnist");
    assert_string_equal(plan.model->kind->name, "lenet");
    assert_string_equal(plan.loss->kind->name, "cross_entropy");
    assert_string_equal(plan.optimizer->kind->name, "adam");
    assert_string_equal(plan.schedule->kind->name, "piecewise");
    assert_string_equal(plan.training->kind->name, "training");
    spec_free(parsed);
}

/* -- limits ------------------------------------------------------------------------------------ */

static problems refused(const char *text, size_t length) {
    spec *result;
    bool malformed;
    problems found = {0};
    assert_int_equal(spec_parse(text, length, &result, &malformed, &found), GR_INVALID);
    assert_true(found.count > 0);
    return found;
}

/* `item` so often in a list of layers. */
static char *layers(const char *item, size_t times) {
    const char *start = "{" DATA ", \"model\": {\"layers\": [";
    char *text = malloc(strlen(start) + (strlen(item) + 1) * times + 4), *to = text;
    to = stpcpy(to, start);
    for (size_t i = 0; i < times; i++) {
        if (i) *to++ = ',';
        to = stpcpy(to, item);
    }
    strcpy(to, "]}}");
    return text;
}

static void a_million_layers_are_refused(void **state) {
    (void)state;
    char *text = layers("{\"type\":\"relu\"}", 1000000);
    problems found = refused(text, strlen(text));
    assert_non_null(strstr(found.items[0].detail, "at most 1048576"));
    problems_clear(&found);
    free(text);
    text = layers("{}", 300000);
    found = refused(text, strlen(text));
    assert_int_equal(found.count, 1);
    assert_string_equal(found.items[0].pointer, "/model/layers");
    assert_non_null(strstr(found.items[0].detail, "300000 items; at most 1024"));
    problems_clear(&found);
    free(text);
    text = layers("{\"type\": \"relu\"}", 1024);
    spec_free(parse(text));
    free(text);
}

static void problems_are_counted_to_the_end(void **state) {
    (void)state;
    char *text = layers("{\"type\": \"relv\"}", 1000);
    problems found = refused(text, strlen(text));
    assert_int_equal(found.count, 1000);
    assert_int_equal(found.kept, MAXIMUM_PROBLEMS);
    problems_clear(&found);
    free(text);
}

static void texts_are_bounded(void **state) {
    (void)state;
    char text[1024], name[256];
    for (size_t length = 200; length <= 201; length++) {
        memset(name, 'a', length);
        name[length] = '\0';
        snprintf(text, sizeof text, "{" BOTH "\"name\": \"%s\"}", name);
        if (length == 200) {
            spec_free(parse(text));
            continue;
        }
        problems found = refused(text, strlen(text));
        assert_string_equal(found.items[0].pointer, "/name");
        assert_non_null(strstr(found.items[0].detail, "201 bytes; at most 200"));
        problems_clear(&found);
    }
    char many[4096] = "{" BOTH "\"tags\": {", *to = many + strlen(many);
    for (int i = 0; i < 65; i++)
        to += snprintf(to, (size_t)(many + sizeof many - to), "%s\"t%d\": \"x\"", i ? "," : "", i);
    stpcpy(to, "}}");
    problems found = refused(many, strlen(many));
    assert_string_equal(found.items[0].pointer, "/tags");
    problems_clear(&found);
    /* A member's long name makes a long pointer: cut, and still UTF-8. */
    char *long_name = malloc(20000);
    to = stpcpy(long_name, "{" BOTH "\"");
    for (int i = 0; i < 3000; i++) to = stpcpy(to, "\xE2\x82\xAC");
    stpcpy(to, "\": 1}");
    found = refused(long_name, strlen(long_name));
    cJSON *string = cJSON_CreateString(found.items[0].pointer), *back;
    char *json = json_text(string);
    gr_error error;
    assert_int_equal(json_parse(json, strlen(json), &back, &error), GR_OK);
    cJSON_Delete(back);
    cJSON_Delete(string);
    free(json);
    json = NULL;
    string = cJSON_CreateString(found.items[0].detail);
    json = json_text(string);
    assert_int_equal(json_parse(json, strlen(json), &back, &error), GR_OK);
    cJSON_Delete(back);
    cJSON_Delete(string);
    free(json);
    problems_clear(&found);
    free(long_name);
}

/* -- the tables of the core
 * ------------------------------------------------------------------------- */

static const gr_family *const families[] = {
    &spec_family,           &gr_layer_family,     &gr_model_family,    &gr_loss_family,
    &gr_regularizer_family, &gr_optimizer_family, &gr_schedule_family, &gr_dataset_family,
    &gr_training_family,    &gr_analysis_family};

static const char *default_of(const gr_option *option) {
    return option->default_json ? option->default_json : "null";
}

/* Gives each kind only its required options, with some value in range: then every problem is one of
 * a default. */
static void check_kind(const gr_family *family, const gr_kind *kind) {
    const gr_kind *base = kind->alias_of ? kind->alias_of : kind;
    if (kind->alias_of) {
        assert_null(base->alias_of);
        for (size_t i = 0; i < kind->alias_value_count; i++)
            assert_true(gr_kind_option(base, kind->alias_values[i].option) >= 0);
    }
    assert_true(base->option_count <= GR_MAXIMUM_OPTIONS);
    problems found = {0};
    gr_settings settings;
    cJSON *object = cJSON_CreateObject();
    if (family->discriminator && kind != family->unnamed)
        cJSON_AddStringToObject(object, family->discriminator, kind->name);
    for (size_t i = 0; i < base->option_count; i++) {
        const gr_option *option = &base->options[i];
        assert_true(option->name && option->help && option->help[0] && option->accepts);
        assert_true(option->required || option->default_json);
        assert_true(!(option->accepts & GR_ACCEPT(GR_CHOICE)) || option->choices);
        assert_true(!(option->accepts & (GR_ACCEPT(GR_SETTINGS) | GR_ACCEPT(GR_LIST))) ||
                    option->family);
        bool fixed = false;
        for (size_t v = 0; v < kind->alias_value_count; v++)
            fixed = fixed || strcmp(kind->alias_values[v].option, option->name) == 0;
        if (!option->required || fixed) continue;
        cJSON *value =
            option->accepts & GR_ACCEPT(GR_CHOICE)   ? cJSON_CreateString(option->choices[0])
            : option->accepts & GR_ACCEPT(GR_LIST)   ? cJSON_CreateArray()
            : option->accepts & GR_ACCEPT(GR_STRING) ? cJSON_CreateString("x")
            : option->accepts & GR_ACCEPT(GR_SETTINGS)
                ? cJSON_Parse(option->family == &gr_model_family ? "{\"preset\": \"lenet\"}"
                                                                 : "{\"name\": \"mnist\"}")
                : cJSON_CreateNumber(option->minimum > 1 ? option->minimum : 1);
        cJSON_AddItemToObject(object, option->name, value);
    }
    if (settings_parse(family, object, NULL, &settings, &found) != GR_OK)
        fail_msg("%s %s: \"%s\": %s (default %s)", family->name, kind->name, found.items[0].pointer,
                 found.items[0].detail,
                 found.items[0].pointer[0] && gr_kind_option(base, found.items[0].pointer + 1) >= 0
                     ? default_of(&base->options[gr_kind_option(base, found.items[0].pointer + 1)])
                     : "?");
    assert_ptr_equal(settings.kind, base);
    for (size_t i = 0; i < base->option_count; i++)
        assert_true(base->options[i].accepts & GR_ACCEPT(settings.values[i].type));
    gr_settings_clear(&settings);
    cJSON_Delete(object);
}

static void all_defaults_are_valid(void **state) {
    (void)state;
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (size_t k = 0; families[f]->kinds[k]; k++)
            check_kind(families[f], families[f]->kinds[k]);
}

static void families_describe_themselves(void **state) {
    (void)state;
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        cJSON *document = spec_family_document(families[f]);
        const cJSON *kinds = cJSON_GetObjectItemCaseSensitive(document, families[f]->name);
        size_t count = 0;
        while (families[f]->kinds[count]) count++;
        assert_int_equal(cJSON_GetArraySize(kinds), count);
        char *text = json_text(document);
        assert_non_null(text);
        free(text);
        cJSON_Delete(document);
    }
    cJSON *document = spec_family_document(&gr_regularizer_family);
    char *text = json_text(document);
    assert_non_null(strstr(text, "\"named_by\":{\"type\":\"datagrad\"},\"alias_of\":"
                                 "\"gradient_penalty\",\"fixed\":{\"probe\":\"loss\"},\"options\":["
                                 "{\"name\":\"weight\""));
    free(text);
    cJSON_Delete(document);
}

/* -- families of this test: what the core's do not have yet
 * ------------------------------------------ */

static const gr_family nest_family;
static const gr_option nest_options[] = {
    {.name = "body",
     .help = "more of them",
     .accepts = GR_ACCEPT(GR_LIST),
     .family = &nest_family,
     .default_json = "[]"},
    {.name = "wrong", .help = "h", .accepts = GR_ACCEPT(GR_INTEGER), .default_json = "1"},
};
static const gr_kind nest = {
    .name = "nest", .help = "h", .options = nest_options, .option_count = 2};
static const gr_kind *const nest_kinds[] = {&nest, NULL};
static const gr_family nest_family = {.name = "nest", .discriminator = "type", .kinds = nest_kinds};

static void nesting_is_bounded(void **state) {
    (void)state;
    for (int depth = 8; depth <= 9; depth++) {
        char text[1024] = "";
        char *to = text;
        for (int i = 0; i < depth; i++) to = stpcpy(to, "{\"type\": \"nest\", \"body\": [");
        for (int i = 0; i < depth; i++) to = stpcpy(to, "]}");
        cJSON *document = cJSON_Parse(text);
        problems found = {0};
        gr_settings settings;
        gr_status status = settings_parse(&nest_family, document, NULL, &settings, &found);
        assert_int_equal(status, depth == 8 ? GR_OK : GR_INVALID);
        if (depth == 9) {
            assert_int_equal(found.count, 1);
            assert_string_equal(found.items[0].pointer,
                                "/body/0/body/0/body/0/body/0/body/0/body/0/body/0/body/0");
        }
        gr_settings_clear(&settings);
        problems_clear(&found);
        cJSON_Delete(document);
    }
}

static void only_the_asked_members(void **state) {
    (void)state;
    const char *const members[] = {"model", "loss", "regularizers", NULL};
    const char *text = "{\"model\": {\"layers\": []}}";
    spec *result;
    bool malformed;
    problems found = {0};
    assert_int_equal(spec_parse_members(text, strlen(text), members, &result, &malformed, &found),
                     GR_OK);
    const gr_plan plan = spec_plan(result);
    assert_non_null(plan.model);
    assert_string_equal(plan.loss->kind->name, "cross_entropy");
    assert_null(plan.dataset);
    assert_int_equal(plan.regularizer_count, 0);
    spec_free(result);
    text = "{\"model\": {\"layers\": []}, \"seed\": 1}";
    assert_int_equal(spec_parse_members(text, strlen(text), members, &result, &malformed, &found),
                     GR_INVALID);
    assert_string_equal(found.items[0].pointer, "/seed");
    assert_non_null(strstr(found.items[0].detail, "model, loss, regularizers"));
    problems_clear(&found);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_specs_name_every_place),
        cmocka_unit_test(text_that_is_not_json_is_malformed),
        cmocka_unit_test(canonical_form_is_a_fixed_point),
        cmocka_unit_test(canonical_form_holds_every_member),
        cmocka_unit_test(analyses_are_filled_in_where_they_are_asked_for),
        cmocka_unit_test(explicit_layers_have_no_preset),
        cmocka_unit_test(plan_borrows_the_parts),
        cmocka_unit_test(a_million_layers_are_refused),
        cmocka_unit_test(problems_are_counted_to_the_end),
        cmocka_unit_test(texts_are_bounded),
        cmocka_unit_test(all_defaults_are_valid),
        cmocka_unit_test(families_describe_themselves),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(only_the_asked_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
