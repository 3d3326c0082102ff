/* The HTML report: hostile texts stay texts, samples come back as they went in, equal runs give equal bytes.
 */
#include "build.h"

#include "reports/html.h"
#include "reports/html/merge.h"
#include "reports/html/pack.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static const char hostile[] = "</script><script>alert('1')</script><!--\"><img src=x onerror=alert(1)>";

static struct lay_system_result system_of(const char *name, const char *bengali, const char *english)
{
    const struct build_cell cells[] = {{"bn", "Bengali", LAY_GROUP_LRL, true, 0, bengali},
                                       {"en", "English", LAY_GROUP_HRL, true, 1, english}};
    struct lay_system_result system = build_system(name, 1);
    build_task(&system.tasks[0], "mgsm", true, cells, english ? 2 : 1);
    system.tasks[0].set_size[LAY_SET_LRL] = system.tasks[0].set_size[LAY_SET_HRL] = 1;
    system.tasks[0].set_size[LAY_SET_AVG] = 2;
    return system;
}

static void replace(char **text, const char *with)
{
    lay_free(*text);
    *text = with ? lay_strdup(with) : NULL;
}

static void put(struct lay_str *page, const struct lay_system_result *systems, size_t count)
{
    struct lay_err err = {0};
    const struct lay_report report = {.systems = systems, .count = count};
    if (lay_html_put(page, &report, &err) != LAY_OK)
        fail_msg("%s", err.message);
}

static int digit_value(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The bytes of the n-th packed script of a page. Returns their number; free *bytes with free(). */
static size_t unpack(const char *page, size_t n, unsigned char **bytes)
{
    static const char open[] = "<script class=\"samples\" type=\"text/plain\">";
    for (size_t i = 0; i <= n; i++) {
        page = strstr(page, open);
        assert_non_null(page);
        page += strlen(open);
    }
    const size_t length = strcspn(page, "<");
    unsigned char *packed = malloc(length + 1);
    size_t filled = 0;
    for (size_t i = 0; i < length; i += 4) {
        const int a = digit_value(page[i]), b = digit_value(page[i + 1]), c = digit_value(page[i + 2]),
                  d = digit_value(page[i + 3]);
        packed[filled++] = (unsigned char)(a << 2 | b >> 4);
        if (c >= 0)
            packed[filled++] = (unsigned char)(b << 4 | c >> 2);
        if (d >= 0)
            packed[filled++] = (unsigned char)(c << 6 | d);
    }
    uLongf size = 1 << 20;
    *bytes = malloc(size + 1);
    assert_int_equal(uncompress(*bytes, &size, packed, filled), Z_OK);
    (*bytes)[size] = '\0';
    free(packed);
    return size;
}

static void samples_come_back_as_they_went_in(void **state)
{
    (void)state;
    struct lay_system_result systems[2] = {system_of("a", "Pw", "e"), system_of("b", "su", NULL)};
    struct lay_record *first = &systems[0].tasks[0].cells[0].records[0];
    replace(&first->question, hostile);
    replace(&first->prompt,
            "Question: </script><script>alert('1')</script><!--\"><img src=x onerror=alert(1)>!");
    replace(&first->output, "one\x1ftwo\x1e\n\xe0\xa6\xac"); /* separators of the page's own, Bengali */
    replace(&systems[1].tasks[0].cells[0].records[0].question, hostile);
    first->prompt_tokens = 7;
    struct lay_str page = {0};
    put(&page, systems, 2);
    unsigned char *bytes;
    assert_int_equal(unpack(lay_str_text(&page), 0, &bytes), 6); /* 3 rows of 2 systems */
    const unsigned char flags[] = {1 | 2 | 4, 1, 1 | 16, 1 | 4, 1 | 8, 0};
    assert_memory_equal(bytes, flags, 6);
    free(bytes);
    unpack(lay_str_text(&page), 1, &bytes);
    char expected[512];
    snprintf(expected, sizeof expected,
             "%s\x1f"
             "18\x1fone\u241ftwo\u241e\n\xe0\xa6\xac\x1f"
             "text 0\x1d"
             "0\x1f{}\x1f"
             "1.0\x1f\x1f=1\x1f\x1f"
             "7/0/0\x1f"
             "1.0\x1f\x1f'p\x1f\x1f"
             "0/0/0\x1e",
             hostile);
    assert_memory_equal(bytes, expected, strlen(expected));
    assert_non_null(strstr((const char *)bytes,
                           "\x1f"
                           "broke\x1f\x1d")); /* an error's message in the answer's place */
    free(bytes);
    assert_non_null(strstr(lay_str_text(&page), "\"templates\": [[\"\", \"\"], [\"Question: \", \"!\"]]"));
    assert_non_null(strstr(lay_str_text(&page), "\"blocks\": [3]"));
    lay_str_free(&page);
    lay_system_result_free(&systems[0]);
    lay_system_result_free(&systems[1]);
}

static size_t occurrences(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part))
        count++;
    return count;
}

static void hostile_texts_stay_texts(void **state)
{
    (void)state;
    struct lay_system_result system = system_of("plain", "P", "w");
    struct lay_str page = {0};
    put(&page, &system, 1);
    const size_t scripts = occurrences(lay_str_text(&page), "<script"),
                 images = occurrences(lay_str_text(&page), "<img"),
                 comments = occurrences(lay_str_text(&page), "<!--");
    lay_str_clear(&page);
    struct lay_err err = {0};
    cJSON *manifest;
    struct lay_str json = {0};
    lay_str_puts(&json, "{\"k\": ");
    lay_json_put_string(&json, hostile, strlen(hostile));
    lay_str_puts(&json, "}");
    assert_int_equal(lay_json_parse("manifest", json.data, json.length, &manifest, &err), LAY_OK);
    replace(&system.name, hostile);
    system.manifest = manifest;
    struct lay_record *record = &system.tasks[0].cells[0].records[0];
    replace(&record->question, hostile);
    replace(&record->prompt,
            "</script><!-- </script><script>alert('1')</script><!--\"><img src=x onerror=alert(1)>");
    replace(&record->output, hostile);
    struct lay_figure figure = {"bn", 50, 1};
    struct lay_baseline published = {
        .system = (char *)hostile, .task = "mgsm", .source = (char *)hostile, .figures = &figure, .count = 1};
    const struct lay_baseline_list baselines = {&published, 1};
    struct lay_html_figure picture = {(char *)hostile, (char *)hostile, (char *)hostile};
    const struct lay_html_figures pictures = {&picture, 1};
    const struct lay_report report = {
        .systems = &system, .count = 1, .baselines = &baselines, .figures = &pictures};
    assert_int_equal(lay_html_put(&page, &report, &err), LAY_OK);
    assert_int_equal(occurrences(lay_str_text(&page), "<script"), scripts);
    assert_int_equal(occurrences(lay_str_text(&page), "<img"), images + 1); /* the picture's own */
    assert_int_equal(occurrences(lay_str_text(&page), "<!--"), comments);
    assert_null(strstr(lay_str_text(&page), "<img src=x"));
    cJSON_Delete(manifest);
    lay_str_free(&json);
    lay_str_free(&page);
    lay_system_result_free(&system);
}

static void equal_runs_give_equal_bytes(void **state)
{
    (void)state;
    struct lay_str pages[2] = {{0}, {0}};
    for (size_t i = 0; i < 2; i++) {
        struct lay_system_result system = system_of("a", "Pwsuel", "Pt");
        put(&pages[i], &system, 1);
        lay_system_result_free(&system);
    }
    assert_string_equal(lay_str_text(&pages[0]), lay_str_text(&pages[1]));
    lay_str_free(&pages[0]);
    lay_str_free(&pages[1]);
}

static void figures_stand_in_the_page(void **state)
{
    (void)state;
    struct lay_system_result system = system_of("a", "PPww", "PPPw");
    struct lay_str page = {0};
    put(&page, &system, 1);
    const char *text = lay_str_text(&page);
    assert_non_null(strstr(text, "<th scope=\"row\">a</th><td title=\"95 % interval 15.0–85.0\">50.0</td>"));
    assert_non_null(strstr(text, "<tr><th scope=\"row\">Bengali</th><td>50.0 (15.0–85.0), n = 4</td></tr>"));
    assert_non_null(strstr(text, "<title>a, en: 75 % (30.1–95.4)</title>"));
    assert_null(strstr(text, "src=\"http"));
    assert_non_null(strstr(text, "default-src 'none'"));
    lay_str_free(&page);
    lay_system_result_free(&system);
}

static void the_same_item_is_one_row_and_another_is_not(void **state)
{
    (void)state;
    struct lay_system_result systems[3] = {system_of("a", "PPP", NULL), system_of("b", "PP", NULL),
                                           system_of("c", "P", "P")};
    replace(&systems[1].tasks[0].cells[0].records[1].target, "another item");
    systems[0].tasks[0].cells[0].records[2].doc_id = 9;
    struct lay_merged merged;
    assert_int_equal(lay_merged_create(systems, 3, &merged, NULL), LAY_OK);
    assert_int_equal(merged.n_cells, 2);
    assert_int_equal(merged.cells[0].rows, 4); /* 0 of all three; 1 of a; 1 of b, another item; 9 of a */
    assert_int_equal(merged.cells[1].rows, 1);
    assert_int_equal(merged.rows, 5);
    const bool answered[5][3] = {{1, 1, 1}, {1, 0, 0}, {0, 1, 0}, {1, 0, 0}, {0, 0, 1}};
    for (size_t r = 0; r < 5; r++)
        for (size_t s = 0; s < 3; s++)
            assert_int_equal(merged.records[r * 3 + s] != NULL, answered[r][s]);
    lay_merged_free(&merged);
    for (size_t i = 0; i < 3; i++)
        lay_system_result_free(&systems[i]);
}

static void base64_is_that_of_rfc_4648(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct lay_str out = {0};
        lay_base64_put(&out, cases[i][0], strlen(cases[i][0]));
        assert_string_equal(lay_str_text(&out), cases[i][1]);
        lay_str_free(&out);
    }
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void pictures_bring_their_title_and_description(void **state)
{
    (void)state;
    char dir[] = "/tmp/layeval-test-XXXXXX";
    struct lay_html_figures figures = {0};
    struct lay_err err = {0};
    assert_non_null(mkdtemp(dir));
    assert_int_equal(lay_html_figures_read(dir, &figures, &err), LAY_ERR_INPUT);
    write_file(dir, "b.svg", "<svg><title id=\"t\">A &lt;B&gt; &amp; C</title><desc>what</desc></svg>");
    write_file(dir, "a.svg", "<svg/>");
    write_file(dir, "c.txt", "not a picture");
    assert_int_equal(lay_html_figures_read(dir, &figures, &err), LAY_OK);
    assert_int_equal(figures.count, 2);
    assert_string_equal(figures.items[0].title, "a.svg");
    assert_string_equal(figures.items[0].about, "");
    assert_string_equal(figures.items[1].title, "A <B> & C");
    assert_string_equal(figures.items[1].about, "what");
    write_file(dir, "a.svg", "no picture");
    assert_int_equal(lay_html_figures_read(dir, &figures, &err), LAY_ERR_INPUT);
    lay_html_figures_free(&figures);
    char command[64];
    static const char *const names[] = {"a.svg", "b.svg", "c.txt"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(command, sizeof command, "%s/%s", dir, names[i]);
        unlink(command);
    }
    rmdir(dir);
}

static void memory_that_runs_out_is_an_error(void **state)
{
    (void)state;
    struct lay_system_result system = system_of("a", "PwsuelUt", "PpPw");
    const struct lay_report report = {.systems = &system, .count = 1};
    enum lay_status status = LAY_ERR_MEMORY;
    long failing = 0;
    for (; status != LAY_OK; failing++) {
        struct lay_str page = {0};
        struct lay_err err = {0};
        lay_mem_fail_after(failing);
        status = lay_html_put(&page, &report, &err);
        lay_mem_fail_after(-1);
        if (status != LAY_OK) {
            assert_int_equal(status, LAY_ERR_MEMORY);
            assert_true(err.message[0]);
        }
        lay_str_free(&page);
    }
    assert_true(failing > 20); /* it does allocate */
    lay_system_result_free(&system);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_come_back_as_they_went_in),
        cmocka_unit_test(hostile_texts_stay_texts),
        cmocka_unit_test(equal_runs_give_equal_bytes),
        cmocka_unit_test(figures_stand_in_the_page),
        cmocka_unit_test(the_same_item_is_one_row_and_another_is_not),
        cmocka_unit_test(base64_is_that_of_rfc_4648),
        cmocka_unit_test(pictures_bring_their_title_and_description),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
