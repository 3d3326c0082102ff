/* Pictures: what is drawn where, what is left out, and that texts cannot leave their place. */
#include "build.h"

#include "reports/svg.h"

#include <math.h>
#include <stdlib.h>

static const char hostile[] = "</text><script>alert(1)</script>";

static size_t occurrences(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
        count++;
    return count;
}

static void assert_sound(const struct lay_str *out)
{
    const char *text = lay_str_text(out);
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    assert_int_equal(occurrences(text, "<svg"), 1);
    assert_int_equal(occurrences(text, "</svg>"), 1);
    assert_int_equal(occurrences(text, "<text"), occurrences(text, "</text>"));
    assert_int_equal(occurrences(text, "<g>"), occurrences(text, "</g>"));
    assert_int_equal(occurrences(text, "<title"), occurrences(text, "</title>"));
}

/* The number behind `attribute="` at its n-th occurrence. */
static double number_at(const char *text, const char *attribute, size_t n)
{
    const char *at = text;
    for (size_t i = 0; i <= n; i++) {
        at = strstr(at, attribute);
        assert_non_null(at);
        at += strlen(attribute);
    }
    return strtod(at, NULL);
}

static void bars_stand_in_proportion_to_their_values(void **state)
{
    (void)state;
    const char *const groups[] = {"bn", hostile};
    const double ours[] = {20, 40}, low[] = {10, NAN}, high[] = {30, NAN}, theirs[] = {NAN, 80};
    const struct lay_svg_bar_series series[] = {{.name = "ours", .values = ours, .low = low, .high = high},
                                                {.name = hostile, .values = theirs, .hatched = true}};
    const struct lay_svg_bars bars = {.frame = {.id = "c", .title = hostile, .about = hostile},
                                      .groups = groups,
                                      .n_groups = 2,
                                      .series = series,
                                      .count = 2,
                                      .high = 100,
                                      .unit = " %"};
    struct lay_str out = {0};
    assert_int_equal(lay_svg_bars(&out, &bars, NULL), LAY_OK);
    assert_sound(&out);
    const char *drawn = strstr(lay_str_text(&out), "<g>"); /* behind the legend */
    assert_int_equal(occurrences(drawn, "<g>"), 3);        /* one of four values is NaN */
    const double first = number_at(drawn, " height=\"", 0), second = number_at(drawn, " height=\"", 1),
                 third = number_at(drawn, " height=\"", 2);
    assert_true(first > 0);
    assert_true(fabs(second - 2 * first) < 0.02);
    assert_true(fabs(third - 4 * first) < 0.02);
    assert_int_equal(occurrences(drawn, "class=\"whisker\""), 1);
    assert_non_null(strstr(drawn, "<title>ours, bn: 20 % (10–30)</title>"));
    assert_int_equal(occurrences(drawn, "<path class=\"l1 hatch\""), 1);
    assert_int_equal(occurrences(drawn, "<path class=\"l0 hatch\""), 0);
    lay_str_free(&out);
}

static void a_missing_value_interrupts_a_line(void **state)
{
    (void)state;
    const double x[] = {0, 1, 2, 3}, y[] = {1, NAN, 3, 4};
    const struct lay_svg_series series[] = {{.name = "loss", .x = x, .y = y, .count = 4}};
    const struct lay_svg_plot plot = {
        .frame = {.id = "c", .title = "t", .about = "a", .y_label = hostile}, .series = series, .count = 1};
    struct lay_str out = {0};
    assert_int_equal(lay_svg_lines(&out, &plot, NULL), LAY_OK);
    assert_sound(&out);
    const char *path = strstr(lay_str_text(&out), "<path class=\"l0\" d=\"");
    assert_non_null(path);
    assert_int_equal(occurrences(path, "M"), 2); /* the first point alone, then a line of two */
    assert_int_equal(occurrences(path, "L"), 1);
    lay_str_free(&out);
}

static void a_logarithmic_axis_gives_every_decade_the_same_room(void **state)
{
    (void)state;
    const double x[] = {0, 1, 2, 3}, y[] = {1, 10, 100, 0};
    const struct lay_svg_series series[] = {{.x = x, .y = y, .count = 4}};
    const struct lay_svg_plot plot = {
        .frame = {.id = "c", .title = "t", .about = "a"}, .series = series, .count = 1, .log_y = true};
    struct lay_str out = {0};
    assert_int_equal(lay_svg_lines(&out, &plot, NULL), LAY_OK);
    assert_sound(&out);
    double px[3], py[3];
    const char *path = strstr(lay_str_text(&out), "<path class=\"l0\" d=\"");
    assert_int_equal(sscanf(path, "<path class=\"l0\" d=\"M%lf %lfL%lf %lfL%lf %lf\"/>", &px[0], &py[0],
                            &px[1], &py[1], &px[2], &py[2]),
                     6);
    assert_true(py[0] > py[1] && py[1] > py[2]);
    assert_true(fabs((py[0] - py[1]) - (py[1] - py[2])) < 0.02);
    lay_str_free(&out);
}

static void points_are_marked_and_named(void **state)
{
    (void)state;
    const double x[] = {-1, 2}, y[] = {5, 7};
    const char *const names[] = {hostile, "sw"};
    const struct lay_svg_series series[] = {{.name = "low", .x = x, .y = y, .labels = names, .count = 2},
                                            {.name = "high", .x = y, .y = x, .count = 2}};
    const struct lay_svg_plot plot = {
        .frame = {.id = "c", .title = "t", .about = "a"}, .series = series, .count = 2};
    struct lay_str out = {0};
    assert_int_equal(lay_svg_points(&out, &plot, NULL), LAY_OK);
    assert_sound(&out);
    assert_int_equal(occurrences(lay_str_text(&out), "<path class=\"f0\""), 3); /* two and the legend's */
    assert_int_equal(occurrences(lay_str_text(&out), "<path class=\"f1\""), 3);
    assert_non_null(strstr(lay_str_text(&out), ">sw</text>"));
    lay_str_free(&out);
}

/* Under numbers the strongest colour is half opaque. */
static void heat_is_opacity_and_its_sign_a_colour(void **state)
{
    (void)state;
    const char *const rows[] = {"0", hostile}, *const columns[] = {"1", "2"};
    const double values[] = {1, 0.25, -0.5, NAN};
    const struct lay_svg_heat heat = {.frame = {.id = "c", .title = "t", .about = "a", .alone = true},
                                      .row_names = rows,
                                      .column_names = columns,
                                      .values = values,
                                      .rows = 2,
                                      .columns = 2,
                                      .low = -1,
                                      .high = 1,
                                      .decimals = 2};
    struct lay_str out = {0};
    assert_int_equal(lay_svg_heat(&out, &heat, NULL), LAY_OK);
    assert_sound(&out);
    const char *text = lay_str_text(&out);
    assert_memory_equal(text, "<?xml", 5);
    assert_non_null(strstr(text, "prefers-color-scheme: dark"));
    assert_non_null(strstr(text, "fill-opacity=\"0.125\"><title>0, 2: 0.25</title>"));
    const char *negative = strstr(text, "<rect class=\"f1\"");
    assert_non_null(negative);
    assert_non_null(strstr(negative, "fill-opacity=\"0.25\"><title>&lt;/text&gt;"));
    assert_int_equal(occurrences(text, "</title></rect>"), 3); /* NaN: no cell */
    lay_str_free(&out);
}

static void pictures_of_nothing_are_pictures(void **state)
{
    (void)state;
    const struct lay_svg_frame frame = {.id = "c", .title = "t", .about = "a"};
    struct lay_str out = {0};
    assert_int_equal(lay_svg_lines(&out, &(struct lay_svg_plot){.frame = frame}, NULL), LAY_OK);
    assert_sound(&out);
    lay_str_clear(&out);
    assert_int_equal(lay_svg_bars(&out, &(struct lay_svg_bars){.frame = frame}, NULL), LAY_OK);
    assert_sound(&out);
    lay_str_clear(&out);
    assert_int_equal(lay_svg_heat(&out, &(struct lay_svg_heat){.frame = frame}, NULL), LAY_OK);
    assert_sound(&out);
    lay_str_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bars_stand_in_proportion_to_their_values),
        cmocka_unit_test(a_missing_value_interrupts_a_line),
        cmocka_unit_test(a_logarithmic_axis_gives_every_decade_the_same_room),
        cmocka_unit_test(points_are_marked_and_named),
        cmocka_unit_test(heat_is_opacity_and_its_sign_a_colour),
        cmocka_unit_test(pictures_of_nothing_are_pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
