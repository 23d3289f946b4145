/* The test helper itself: what other tests rely on when they build settings from text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/settings_builder.h"

static const char *const modes[] = {"fast", "exact", NULL};
static const gr_option inner_options[] = {
    {.name = "size", .accepts = GR_ACCEPT(GR_INTEGER), .default_json = "3"},
};
static const gr_kind inner = {.name = "inner", .options = inner_options, .option_count = 1};
static const gr_kind *const inner_kinds[] = {&inner, NULL};
static const gr_family inner_family = {.name = "inner", .kinds = inner_kinds, .unnamed = &inner};

static const gr_option options[] = {
    {.name = "weight", .accepts = GR_ACCEPT(GR_NUMBER), .required = true},
    {.name = "mode",
     .accepts = GR_ACCEPT(GR_CHOICE) | GR_ACCEPT(GR_INTEGER),
     .choices = modes,
     .default_json = "\"exact\""},
    {.name = "factors", .accepts = GR_ACCEPT(GR_NUMBERS), .default_json = "[0.5, 0.25]"},
    {.name = "inside",
     .accepts = GR_ACCEPT(GR_SETTINGS) | GR_ACCEPT(GR_NULL),
     .family = &inner_family,
     .default_json = "{}"},
    {.name = "parts", .accepts = GR_ACCEPT(GR_LIST), .family = &inner_family, .default_json = "[]"},
};
static const gr_kind whole = {.name = "whole", .options = options, .option_count = 5};
static const gr_alias_value fixed[] = {{"mode", "\"fast\""}};
static const gr_kind alias = {
    .name = "quick", .alias_of = &whole, .alias_values = fixed, .alias_value_count = 1};
static const gr_kind *const kinds[] = {&whole, &alias, NULL};
static const gr_family family = {.name = "thing", .discriminator = "type", .kinds = kinds};

static void test_defaults_and_values(void **state) {
    (void)state;
    gr_settings settings = settings_build(&family, "{\"type\": \"whole\", \"weight\": 2}");
    size_t count;
    assert_ptr_equal(settings.kind, &whole);
    assert_true(gr_number(&settings, 0) == 2.0);
    assert_int_equal(gr_choice(&settings, 1), 1);
    assert_true(gr_numbers(&settings, 2, &count)[1] == 0.25);
    assert_int_equal(count, 2);
    assert_int_equal(gr_integer(gr_settings_of(&settings, 3), 0), 3);
    gr_list(&settings, 4, &count);
    assert_int_equal(count, 0);
    gr_settings_clear(&settings);

    settings = settings_build(
        &family, "type=whole, weight=1e-3, mode=7, inside=null, parts=[{size: 1}, {}]");
    assert_true(gr_number(&settings, 0) == 1e-3);
    assert_int_equal(gr_integer(&settings, 1), 7);
    assert_true(gr_is_null(&settings, 3));
    const gr_settings *parts = gr_list(&settings, 4, &count);
    assert_int_equal(count, 2);
    assert_int_equal(gr_integer(&parts[0], 0), 1);
    assert_int_equal(gr_integer(&parts[1], 0), 3);
    gr_settings_clear(&settings);
}

static void test_alias_and_list(void **state) {
    (void)state;
    size_t count;
    gr_settings *items = settings_build_list(&family, "[{type: quick, weight: 1}]", &count);
    assert_int_equal(count, 1);
    assert_ptr_equal(items[0].kind, &whole);
    assert_int_equal(gr_choice(&items[0], 1), 0);
    gr_settings_array_free(items, count);
    gr_settings one = settings_build_kind(&inner, NULL);
    assert_int_equal(gr_integer(&one, 0), 3);
    gr_settings_clear(&one);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_and_values),
        cmocka_unit_test(test_alias_and_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
