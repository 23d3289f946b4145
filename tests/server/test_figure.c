/* Figures: places, ticks, colours; texts that would break XML; marks that are nowhere; tables with
 * holes; and the choice of a tuning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "server/figure.h"
#include "server/study.h"

static gr_error error;

static void test_places(void **state) {
    (void)state;
    const figure_scale linear = {.low = -1, .high = 3, .begin = 100, .end = 500};
    assert_true(fabs(figure_place(&linear, 0) - 200) < 1e-9);
    assert_true(fabs(figure_place(&linear, 5) - 700) < 1e-9);
    const figure_scale falling = {
        .low = 0.01, .high = 100, .logarithmic = true, .begin = 40, .end = 0};
    assert_true(fabs(figure_place(&falling, 1) - 20) < 1e-9);
    assert_true(isnan(figure_place(&falling, 0)) && isnan(figure_place(&falling, -1)));
    assert_true(isnan(figure_place(&linear, NAN)) && isnan(figure_place(&linear, INFINITY)));
    figure_scale flat = {.low = 2, .high = 2};
    figure_widen(&flat, 0.1);
    assert_true(flat.low < 2 && flat.high > 2);
    figure_scale decades = {.low = 1, .high = 100, .logarithmic = true};
    figure_widen(&decades, 0.5);
    assert_true(fabs(decades.low - 0.1) < 1e-12 && fabs(decades.high - 1000) < 1e-9);
}

static void check_ticks(figure_scale scale, int wanted, const double *ticks, size_t count) {
    double found[FIGURE_MAXIMUM_TICKS];
    assert_int_equal(figure_ticks(&scale, wanted, found), count);
    for (size_t i = 0; i < count; i++)
        assert_true(fabs(found[i] - ticks[i]) <= 1e-9 * (1 + fabs(ticks[i])));
}

static void test_ticks(void **state) {
    (void)state;
    check_ticks((figure_scale){.low = -1.02, .high = 1.02}, 4,
                (const double[]){-1, -0.5, 0, 0.5, 1}, 5);
    check_ticks((figure_scale){.low = 96.13, .high = 97.9}, 4, (const double[]){96.5, 97, 97.5}, 3);
    check_ticks((figure_scale){.low = 0, .high = 1}, 5, (const double[]){0, 0.2, 0.4, 0.6, 0.8, 1},
                6);
    check_ticks((figure_scale){.low = 450, .high = 22000, .logarithmic = true}, 5,
                (const double[]){500, 1000, 2000, 5000, 10000, 20000}, 6);
    check_ticks((figure_scale){.low = 1e-6, .high = 10, .logarithmic = true}, 4,
                (const double[]){1e-6, 1e-4, 1e-2, 1}, 4);
    check_ticks((figure_scale){.low = 1, .high = 1}, 4, NULL, 0);
    check_ticks((figure_scale){.low = 0, .high = INFINITY}, 4, NULL, 0);
}

static void test_colours(void **state) {
    (void)state;
    figure_colour_text text;
    assert_string_equal(figure_gradient(0, text), "#440154");
    assert_string_equal(figure_gradient(1, text), "#fde725");
    assert_string_equal(figure_gradient(7, text), "#fde725");
    assert_string_equal(figure_gradient(NAN, text), "#440154");
    assert_string_equal(figure_gradient(0.5, text), "#21908d");
    assert_string_not_equal(figure_colour(0), figure_colour(7));
}

static size_t count_of(const char *text, const char *part) {
    size_t count = 0;
    for (; (text = strstr(text, part)); text++) count++;
    return count;
}

static void test_marks(void **state) {
    (void)state;
    figure *of = figure_create(100, 50, "a < b & \"c\"\x01");
    const figure_point points[] = {{0, 0}, {1, 1}, {NAN, 2}, {3, 3}, {4, 4.126}, {5, NAN}, {6, 6}};
    figure_line(of, points, 7, "#000000", 1, NULL);
    figure_band(of, points, points, 7, "#000000");
    figure_dot(of, 3, NAN, 1, "#000000", 1);
    figure_dot(of, 3, -0.001, 1, "#000000", 0.5);
    figure_text(of, INFINITY, 0, FIGURE_START, 10, "#000000", "nowhere");
    figure_text(of, 1, 2, FIGURE_END, 10, "#000000", "≤ 5 %");
    char *svg = figure_finish(of);
    assert_non_null(svg);
    assert_non_null(strstr(svg, "<title>a &lt; b &amp; &quot;c&quot;</title>"));
    /* Broken where a point is missing; one point alone is no line. */
    assert_int_equal(count_of(svg, "<polyline"), 2);
    assert_non_null(strstr(svg, "points=\"3,3 4,4.13 \"")); /* two decimals */
    assert_int_equal(count_of(svg, "<polygon"), 2);
    assert_int_equal(count_of(svg, "<circle"), 1);
    assert_non_null(strstr(svg, "cx=\"3\" cy=\"0\""));
    assert_null(strstr(svg, "nowhere"));
    assert_non_null(strstr(svg, "≤ 5 %</text>"));
    assert_null(strstr(svg, "nan"));
    assert_null(strstr(svg, "inf"));
    free(svg);
}

static void test_panel(void **state) {
    (void)state;
    figure *of = figure_create(300, 200, "panel");
    figure_panel panel = {.left = 50,
                          .top = 20,
                          .width = 200,
                          .height = 100,
                          .x = {.low = 0, .high = 1},
                          .y = {.low = 0, .high = 10},
                          .x_label = "x<1"};
    figure_panel_begin(of, &panel);
    assert_true(figure_place(&panel.x, 1) == 250 && figure_place(&panel.y, 10) == 20 &&
                figure_place(&panel.y, 0) == 120);
    figure_panel_end(of);
    char *svg = figure_finish(of);
    assert_non_null(strstr(svg, "x&lt;1</text>"));
    assert_int_equal(count_of(svg, "<g "), count_of(svg, "</g>"));
    free(svg);
}

/* -- tables
 * -------------------------------------------------------------------------------------------- */

/* Two methods at two sizes; one cell has nothing finite, one no interval. */
static const char table[] =
    "{\"metric\":\"test_accuracy\",\"better\":\"higher\",\"confidence\":0.95,"
    "\"baseline\":{\"m\":\"none\"},"
    "\"rows\":{\"axes\":\"m\",\"labels\":[\"none\",\"DataGrad: 1\",\"DataGrad: 2\"]},"
    "\"columns\":{\"axes\":\"n\",\"labels\":[\"50\",\"500\"]},\"cells\":["
    "{\"row\":0,\"column\":0,\"arm\":0,\"n\":2,\"values\":[[1,0.5],[2,0.6]],\"mean\":0.55,"
    "\"interval\":[0.5,0.6],\"difference\":null,\"verdict\":\"baseline\"},"
    "{\"row\":1,\"column\":0,\"arm\":1,\"n\":2,\"values\":[[1,0.7],[2,0.8]],\"mean\":0.75,"
    "\"interval\":[0.7,0.8],\"difference\":{\"baseline_arm\":0,\"mean\":0.2,"
    "\"interval\":[0.1,0.3]},\"verdict\":\"better\"},"
    "{\"row\":2,\"column\":0,\"arm\":2,\"n\":1,\"values\":[[1,0.7]],\"mean\":0.7,"
    "\"interval\":null,\"difference\":null,\"verdict\":null},"
    "{\"row\":1,\"column\":1,\"arm\":3,\"n\":0,\"values\":[],\"mean\":null,\"interval\":null,"
    "\"difference\":null,\"verdict\":null},"
    "{\"row\":2,\"column\":1,\"arm\":4,\"n\":1,\"values\":[[1,0.9]],\"mean\":0.9,"
    "\"interval\":null,\"difference\":null,\"verdict\":null}]}";

static void test_kinds(void **state) {
    (void)state;
    static const struct {
        const char *item, *part;
        size_t count;
    } kinds[] = {
        {"{\"kind\":\"dots\"}", "<circle", 4 + 6 + 4}, /* means, seeds, legend */
        {"{\"kind\":\"curves\",\"logarithmic\":true}", "<circle",
         4 + 1 + 3}, /* means, differences, legend */
        {"{\"kind\":\"curves\",\"references\":[{\"label\":\"half\",\"value\":0.5}]}",
         "stroke-dasharray", 3}, /* in the panel and the legend; zero of the differences */
        {"{\"kind\":\"map\"}", ".00</text>", 6}, /* four means, and the ends of the scale */
    };
    cJSON *parsed = cJSON_Parse(table);
    assert_non_null(parsed);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        cJSON *item = cJSON_Parse(kinds[i].item);
        char *svg;
        assert_int_equal(study_figure(item, parsed, &svg, &error), GR_OK);
        assert_int_equal(count_of(svg, kinds[i].part), kinds[i].count);
        assert_null(strstr(svg, "nan"));
        assert_null(strstr(svg, "inf\""));
        free(svg);
        cJSON_Delete(item);
    }
    cJSON *item = cJSON_Parse("{\"kind\":\"pie\"}"), *empty = cJSON_Parse("{}");
    char *svg;
    assert_int_equal(study_figure(item, parsed, &svg, &error), GR_INVALID);
    cJSON_Delete(item);
    item = cJSON_Parse("{\"kind\":\"map\"}");
    assert_int_equal(study_figure(item, empty, &svg, &error), GR_OK);
    free(svg);
    cJSON_Delete(item);
    cJSON_Delete(empty);
    cJSON_Delete(parsed);
}

/* Of each group the best of each column; where nothing came out there is nothing to choose. */
static void test_choice(void **state) {
    (void)state;
    study of = {
        .document = cJSON_Parse("{\"final\":{\"axis\":\"m\",\"sweep\":{\"seeds\":[5]}}}"),
        .sweep = cJSON_Parse(
            "{\"base\":{},\"axes\":[{\"name\":\"n\",\"pointer\":\"/n\",\"values\":[50,500]},"
            "{\"name\":\"m\",\"values\":[{\"label\":\"none\",\"set\":{}},"
            "{\"label\":\"DataGrad: 1\",\"set\":{\"/w\":1}},"
            "{\"label\":\"DataGrad: 2\",\"set\":{\"/w\":2}}]}]}")};
    cJSON *parsed = cJSON_Parse(table), *sweep = NULL;
    char *csv = NULL;
    size_t size;
    FILE *out = open_memstream(&csv, &size);
    /* "none" has no result at 500. */
    assert_int_equal(study_final_sweep(&of, parsed, out, &sweep, &error), GR_CONFLICT);
    assert_non_null(strstr(error.message, "\"none\""));
    cJSON *cell = cJSON_Parse("{\"row\":0,\"column\":1,\"arm\":5,\"mean\":0.1}");
    cJSON_AddItemToArray(cJSON_GetObjectItem(parsed, "cells"), cell);
    assert_int_equal(study_final_sweep(&of, parsed, out, &sweep, &error), GR_OK);
    fclose(out);
    free(csv);
    char *text = cJSON_PrintUnformatted(sweep);
    assert_string_equal(
        text, "{\"base\":{},\"axes\":[{\"name\":\"n\",\"pointer\":\"/n\",\"values\":[50,500]},"
              "{\"name\":\"m\",\"values\":[{\"label\":\"none\",\"set\":{}},"
              "{\"label\":\"DataGrad\",\"set\":{}}]}],"
              "\"adjust\":[{\"when\":{\"m\":\"DataGrad\",\"n\":\"50\"},\"set\":{\"/w\":1}},"
              "{\"when\":{\"m\":\"DataGrad\",\"n\":\"500\"},\"set\":{\"/w\":2}}],\"seeds\":[5]}");
    free(text);
    cJSON_Delete(sweep);
    cJSON_Delete(parsed);
    study_clear(&of);
}

/* Three arms by three seeds: differences of 0.1, 0.11, 0.12 and of -0.2, -0.22, -0.21. */
static const char compared[] =
    "{\"metric\":\"%s\",\"better\":\"%s\",\"confidence\":0.95,\"cells\":["
    "{\"label\":\"a\",\"values\":[[1,0.5],[2,0.5],[3,0.5],[4,0.1]]},"
    "{\"label\":\"b\",\"values\":[[3,0.62],[1,0.6],[2,0.61]]},"
    "{\"label\":\"c\",\"values\":[[1,0.3],[2,0.28],[3,0.29]]}]}";

static void check_claims(const char *metric, const char *better, const char *const wanted[]) {
    static const char claims[] = "[{\"claim\":\"one\",\"better\":[\"b\",\"a\"]},{\"claim\":\"two\","
                                 "\"better\":[\"c\",\"a\"]},"
                                 "{\"claim\":\"three\",\"equal\":[\"a\",\"a\"]},"
                                 "{\"claim\":\"four\",\"more\":[\"b\",\"a\",\"c\",\"a\"]}]";
    char json[600], *text;
    snprintf(json, sizeof json, compared, metric, better);
    cJSON *parsed = cJSON_Parse(json), *list = cJSON_Parse(claims);
    assert_int_equal(study_claims_text(list, parsed, &text, &error), GR_OK);
    for (int i = 0; wanted[i]; i++)
        if (!strstr(text, wanted[i])) fail_msg("no \"%s\" in\n%s", wanted[i], text);
    free(text);
    cJSON_Delete(list);
    cJSON_Delete(parsed);
}

/* The p values without correction are 2·P(T₂ > 0.11·√3/0.01) = 0.0027, 0.00075 (0.21) and, of the
 * differences 0.3, 0.33, 0.33, 0.00098: Holm's are 0.0027, 0.0023 and 0.0023. */
static void test_claims(void **state) {
    (void)state;
    check_claims("test_accuracy", "higher",
                 (const char *const[]){
                     "| one | b − a | +11.00 ± 2.48 | 0.0027 | 3 | holds |",
                     "| two | c − a | -21.00 ± 2.48 | 0.0023 | 3 | the opposite |",
                     "| three | a − a | +0.00 ± 0.00 | – | 4 | no difference shown |",
                     "| four | b − a, less c − a | +32.00 ± 4.30 | 0.0023 | 3 | holds |", NULL});
    check_claims("test_loss", "lower",
                 (const char *const[]){"| one | b − a | -0.110 ± 0.025 | 0.0027 | 3 | the opposite",
                                       "| two | c − a | +0.210 ± 0.025 | 0.0023 | 3 | holds |",
                                       NULL});
    static const char *const bad[] = {"[{\"claim\":\"x\",\"better\":[\"a\"]}]",
                                      "[{\"claim\":\"x\",\"better\":[\"a\",\"d\"]}]",
                                      "[{\"claim\":\"x\",\"more\":[\"a\",\"b\"]}]", "[{}]"};
    char json[600], *text;
    snprintf(json, sizeof json, compared, "test_loss", "lower");
    cJSON *parsed = cJSON_Parse(json);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cJSON *list = cJSON_Parse(bad[i]);
        assert_int_equal(study_claims_text(list, parsed, &text, &error), GR_INVALID);
        assert_non_null(strstr(error.message, "/claims: "));
        free(text);
        cJSON_Delete(list);
    }
    cJSON_Delete(parsed);
}

static void test_definitions(void **state) {
    (void)state;
    study of;
    assert_int_equal(study_load("confidence_penalty", "quick", &of, &error), GR_OK);
    const cJSON *training = cJSON_GetObjectItem(cJSON_GetObjectItem(of.sweep, "base"), "training");
    assert_int_equal(cJSON_GetObjectItem(training, "iterations")->valueint, 500);
    study_clear(&of);
    assert_int_equal(study_load("confidence_penalties", NULL, &of, &error), GR_NOT_FOUND);
    assert_non_null(strstr(error.message, "did you mean \"confidence_penalty\"?"));
    study_clear(&of);
    assert_int_equal(study_load("toy1", "giant", &of, &error), GR_NOT_FOUND);
    study_clear(&of);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),      cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_colours),     cmocka_unit_test(test_marks),
        cmocka_unit_test(test_panel),       cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_choice),      cmocka_unit_test(test_claims),
        cmocka_unit_test(test_definitions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
