// SPDX-License-Identifier: MPL-2.0
#include "base/json.h"

#include "test.h"

#include <math.h>

static void
test_commas_and_nesting(void)
{
    text_t text = { 0 };
    json_t json = json_on(&text);
    json_object(&json, NULL);
    json_array(&json, "routes");
    for (int i = 0; i < 2; i++) {
        json_object(&json, NULL);
        json_int(&json, "n", -i);
        json_null(&json, "blocked");
        json_object_end(&json);
    }
    json_array_end(&json);
    json_object(&json, "empty");
    json_object_end(&json);
    json_bool(&json, "ok", true);
    json_array(&json, "list");
    json_uint(&json, NULL, UINT64_MAX);
    json_int(&json, NULL, INT64_MIN);
    json_array_end(&json);
    json_object_end(&json);
    CHECK_TEXT(text.data,
               "{\"routes\":[{\"n\":0,\"blocked\":null},{\"n\":-1,\"blocked\":null}],\"empty\":{},\"ok\":true,"
               "\"list\":[18446744073709551615,-9223372036854775808]}");
    text_free(&text);
}

static void
test_strings_are_quoted(void)
{
    text_t text = { 0 };
    json_t json = json_on(&text);
    json_array(&json, NULL);
    json_string(&json, NULL, "a\"b\\c\n\t\r\b\f/");
    json_string(&json, NULL, NULL);
    json_string(&json, NULL, "");
    json_bytes(&json, NULL, "\0\x1f\x7f", 3);
    json_bytes(&json, NULL, "\xff\xc3\xa4\xe2\x82", 5);
    json_string(&json, NULL, "\xc2\x9b\xe2\x80\xae\xef\xbb\xbf");
    json_array_end(&json);
    CHECK_TEXT(text.data, "[\"a\\\"b\\\\c\\n\\t\\r\\b\\f/\",null,\"\",\"\\u0000\\u001f\\u007f\","
                          "\"\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\",\"\\u009b\\u202e\\ufeff\"]");
    text_free(&text);
}

static void
test_keys_are_quoted_too(void)
{
    text_t text = { 0 };
    json_t json = json_on(&text);
    json_object(&json, NULL);
    json_string(&json, "a\"", "b");
    json_object_end(&json);
    CHECK_TEXT(text.data, "{\"a\\\"\":\"b\"}");
    text_free(&text);
}

static void
test_numbers_are_short_and_exact(void)
{
    text_t text = { 0 };
    json_t json = json_on(&text);
    json_array(&json, NULL);
    json_real(&json, NULL, 0.1);
    json_real(&json, NULL, 1.0 / 3);
    json_real(&json, NULL, 1e300);
    json_real(&json, NULL, 5);
    json_real(&json, NULL, (double)NAN);
    json_real(&json, NULL, (double)INFINITY);
    json_array_end(&json);
    CHECK_TEXT(text.data, "[0.1,0.3333333333333333,1e+300,5,null,null]");
    text_free(&text);
}

static void
test_thirty_two_levels(void)
{
    text_t text = { 0 };
    json_t json = json_on(&text);
    for (int i = 0; i < 32; i++)
        json_array(&json, NULL);
    json_int(&json, NULL, 1);
    json_int(&json, NULL, 2);
    for (int i = 0; i < 32; i++)
        json_array_end(&json);
    CHECK(text.size == 32 + 3 + 32 && strstr(text.data, "[1,2]"));
    text_free(&text);
}

int
main(void)
{
    RUN(test_commas_and_nesting);
    RUN(test_strings_are_quoted);
    RUN(test_keys_are_quoted_too);
    RUN(test_numbers_are_short_and_exact);
    RUN(test_thirty_two_levels);
    return test_done();
}
