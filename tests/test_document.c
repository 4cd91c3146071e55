// SPDX-License-Identifier: MPL-2.0
#include "base/document.h"

#include "base/json.h"
#include "base/mem.h"
#include "test.h"

static document_t *
read_text(const char *text)
{
    return document_read(text, strlen(text));
}

static void
test_what_json_writes_is_read(void)
{
    text_t text = { 0 };
    json_t json = json_on(&text);
    json_object(&json, NULL);
    json_array(&json, "routes");
    json_object(&json, NULL);
    json_string(&json, "name", "a\"b\\c\n\x01/\xc3\xa4");
    json_uint(&json, "messages", UINT64_MAX);
    json_real(&json, "share", 0.25);
    json_null(&json, "blocked");
    json_object_end(&json);
    json_array_end(&json);
    json_object(&json, "rates");
    json_int(&json, "in_1s", -7);
    json_bool(&json, "up", true);
    json_bool(&json, "down", false);
    json_object_end(&json);
    json_object_end(&json);
    document_t *document = document_read(text.data, text.size);
    const document_value_t *root = document_root(document), *route = value_first(value_member(root, "routes"));
    CHECK(value_is(root, VALUE_OBJECT) && !root->key && !route->key && !route->next);
    CHECK_TEXT(value_text(value_member(route, "name")), "a\"b\\c\n\x01/\xc3\xa4");
    CHECK_TEXT(value_member(route, "messages")->text, "18446744073709551615"); // exact, though a double is not
    CHECK_TEXT(value_member(route, "share")->text, "0.25");
    CHECK(value_is(value_member(route, "blocked"), VALUE_NULL));
    CHECK(value_at(root, "rates.in_1s")->number < -6.5 && value_true(value_at(root, "rates.up")));
    CHECK(!value_true(value_at(root, "rates.down")));
    document_free(&document);
    document_free(&document);
    text_free(&text);
}

static void
test_what_is_not_there_is_null_and_empty(void)
{
    document_t *document = read_text(" { \"a\" : { \"bc\" : \"x\" } , \"n\" : [ ] } ");
    const document_value_t *root = document_root(document);
    CHECK_TEXT(value_text(value_at(root, "a.bc")), "x");
    CHECK(!value_at(root, "a.b") && !value_at(root, "a.bcd") && !value_at(root, "a.bc.d") && !value_at(root, "b.bc"));
    CHECK(!value_at(NULL, "a") && !value_member(NULL, "a") && !value_true(NULL) && !value_is(NULL, VALUE_NULL));
    CHECK_TEXT(value_text(NULL), "");
    CHECK_TEXT(value_text(value_member(root, "n")), "");
    CHECK(value_is(value_member(root, "n"), VALUE_ARRAY) && !value_first(value_member(root, "n")));
    CHECK(!value_first(NULL) && !value_first(value_member(root, "a")));
    document_free(&document);
}

static void
test_escapes_become_utf8(void)
{
    document_t *document = read_text("\"\\u0041\\u00e4\\u20ac\\ud83d\\ude00\\ud83dx\\b\\f\\/\"");
    CHECK_TEXT(value_text(document_root(document)), "A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbdx\b\f/");
    document_free(&document);
}

static void
test_a_string_may_hold_nul(void)
{
    document_t *document = read_text("\"a\\u0000b\"");
    const document_value_t *value = document_root(document);
    CHECK(value->size == 3 && memcmp(value->text, "a\0b", 4) == 0);
    document_free(&document);
}

static void
test_what_is_no_json_is_refused(void)
{
    static const char *const wrong[] = {
        "", " ", "{", "}", "[1,]", "[1 2]", "{\"a\"}", "{\"a\":}", "{a:1}", "\"a", "\"\\x\"", "\"\\u12\"", "\"\n\"", "01", "-", "1.",
        "1e", ".5", "+1", "nul", "1 1", "\"a\\", "[\"a\"", "{\"a\":1,}", "tru", "NaN",
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        document_t *document = read_text(wrong[i]);
        if (document)
            printf("# %s\n", wrong[i]);
        CHECK(!document);
        document_free(&document);
    }
    CHECK(!document_read("1\0", 2) && !document_read("\"\0\"", 3));
}

static void
test_depth_is_bounded(void)
{
    text_t text = { 0 };
    for (int i = 0; i < 31; i++)
        text_char(&text, '[');
    text_char(&text, '1');
    for (int i = 0; i < 31; i++)
        text_char(&text, ']');
    document_t *document = document_read(text.data, text.size);
    CHECK(document);
    document_free(&document);
    text_clear(&text);
    for (int i = 0; i < 100000; i++)
        text_char(&text, '[');
    CHECK(!document_read(text.data, text.size));
    text_free(&text);
}

static void
test_thousands_of_values(void)
{
    text_t text = { 0 };
    text_char(&text, '[');
    for (int i = 0; i < 5000; i++)
        text_add(&text, "%s%d", i ? "," : "", i);
    text_char(&text, ']');
    document_t *document = document_read(text.data, text.size);
    int expected = 0;
    char digits[16];
    for (const document_value_t *value = document_root(document)->first; value; value = value->next) {
        snprintf(digits, sizeof digits, "%d", expected++);
        CHECK_TEXT(value->text, digits);
    }
    CHECK(expected == 5000);
    document_free(&document);
    text_free(&text);
}

int
main(void)
{
    RUN(test_what_json_writes_is_read);
    RUN(test_what_is_not_there_is_null_and_empty);
    RUN(test_escapes_become_utf8);
    RUN(test_a_string_may_hold_nul);
    RUN(test_what_is_no_json_is_refused);
    RUN(test_depth_is_bounded);
    RUN(test_thousands_of_values);
    return test_done();
}
