// SPDX-License-Identifier: MPL-2.0
#include "guard/cert.h"

#include "base/mem.h"

#include "files.h"
#include "test.h"

#include <czmq.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/zb-cert-XXXXXX";

static const char public_key[] = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
static const char secret_key[] = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";

static int
parse(cert_t *cert, const char *text, cert_fault_t *fault)
{
    return cert_parse(cert, text, strlen(text), fault);
}

static cert_t
make(void)
{
    cert_t cert = { .has_public = true, .has_secret = true, .name = "alice" };
    strcpy(cert.public_text, public_key);
    strcpy(cert.secret_text, secret_key);
    return cert;
}

static void
what_we_write_we_read(void)
{
    char *metadata[] = {(char *)"email=alice@example.com"};
    text_t text = { 0 };
    cert_t cert = make(), again;
    cert_fault_t fault;
    cert_print(&cert, true, metadata, 1, &text);
    CHECK(cert_parse(&again, text.data, text.size, &fault) == 0);
    CHECK_TEXT(again.public_text, public_key);
    CHECK_TEXT(again.secret_text, secret_key);
    CHECK_TEXT(again.name, "alice");
    text_free(&text);
}

static void
czmq_reads_what_we_write(void)
{
    char *metadata[] = {(char *)"email=alice@example.com"};
    text_t public = { 0 }, secret = { 0 };
    cert_t cert = make();
    cert_print(&cert, false, metadata, 1, &public);
    cert_print(&cert, true, metadata, 1, &secret);
    char *path = write_file(folder, "ours", 0644, public.data);
    char *secret_path = write_file(folder, "ours_secret", 0600, secret.data);
    zcert_t *theirs = zcert_load(path);
    CHECK(theirs != NULL);
    if (theirs) {
        CHECK_TEXT(zcert_public_txt(theirs), public_key);
        CHECK_TEXT(zcert_secret_txt(theirs), secret_key);
        CHECK_TEXT(zcert_meta(theirs, "email"), "alice@example.com");
    }
    zcert_destroy(&theirs);
    free(path);
    free(secret_path);
    text_free(&public);
    text_free(&secret);
}

static void
we_read_what_czmq_writes(void)
{
    char *path = xasprintf("%s/theirs", folder);
    zcert_t *theirs = zcert_new();
    zcert_set_meta(theirs, "name", "%s", "bob");
    zcert_save(theirs, path);
    cert_t cert;
    cert_fault_t fault;
    CHECK(cert_load_secret(&cert, path, &fault) == 0);
    CHECK_TEXT(cert.public_text, zcert_public_txt(theirs));
    CHECK_TEXT(cert.secret_text, zcert_secret_txt(theirs));
    CHECK_TEXT(cert.name, "bob");
    zcert_destroy(&theirs);
    free(path);
}

static void
pyzmq_writes_without_quotes(void)
{
    cert_t cert;
    cert_fault_t fault;
    char text[500];
    snprintf(text, sizeof text, "#   ****  Generated on 2026-11-21 by pyzmq  ****\n\nmetadata\n    name = Alice B\ncurve\n"
                                "    public-key = \"%s\"\n    secret-key = \"%s\"\n", public_key, secret_key);
    CHECK(parse(&cert, text, &fault) == 0);
    CHECK_TEXT(cert.name, "Alice B");
}

static void
line_ends_of_every_kind_are_fine(void)
{
    cert_t cert;
    cert_fault_t fault;
    char text[500];
    snprintf(text, sizeof text, "curve\r\n\tpublic-key = '%s'\r\n", public_key);
    CHECK(parse(&cert, text, &fault) == 0);
    snprintf(text, sizeof text, "curve\n public-key=%s", public_key);
    CHECK(parse(&cert, text, &fault) == 0);
}

static void
damage_is_reported_with_its_line(void)
{
    static const struct {
        const char *text;
        int line;
        const char *why;
    } cases[] = {
        {"", 0, "no public-key in section curve"},
        {"curve\n", 0, "no public-key in section curve"},
        {"public-key = Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\n", 0, "no public-key in section curve"},
        {"curve\n    public-key = \"short\"\n", 2, "public-key is not 40 characters of Z85"},
        {"curve\n    public-key = \"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{h D\"\n", 2, "public-key is not 40 characters of Z85"},
        {"curve\n    public-key = \"%nSc0Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaL\"\n    public-key = x\n", 3, "a second public-key"},
        {"curve\n    secret-key = \"x\"\n", 2, "secret-key is not 40 characters of Z85"},
        {"metadata\n    nonsense\n", 2, "neither NAME = VALUE nor the start of a section"},
        {"metadata\n    name = a\tb\n", 2, "the name holds a control character"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cert_t cert;
        cert_fault_t fault;
        CHECK(parse(&cert, cases[i].text, &fault) == -1);
        CHECK(fault.line == cases[i].line);
        CHECK_TEXT(fault.text, cases[i].why);
        CHECK(!cert.has_public && !cert.has_secret);
    }
}

static void
length_is_bounded_everywhere(void)
{
    cert_t cert;
    cert_fault_t fault;
    char *big = xcalloc(1, CERT_FILE_MAX + 10);
    memset(big, '\n', CERT_FILE_MAX + 1);
    CHECK(cert_parse(&cert, big, CERT_FILE_MAX + 1, &fault) == -1);
    memset(big, 'x', 2000);
    CHECK(cert_parse(&cert, big, 2000, &fault) == -1);
    CHECK(fault.line == 1);
    CHECK(cert_parse(&cert, "curve\0", 6, &fault) == -1);
    // More metadata than czmq's buffer of 512 bytes holds.
    text_t text = { 0 };
    text_add(&text, "metadata\n");
    for (int i = 0; i < 100; i++)
        text_add(&text, "    key%d = \"%0100d\"\n", i, i);
    text_add(&text, "curve\n    public-key = \"%s\"\n", public_key);
    CHECK(cert_parse(&cert, text.data, text.size, &fault) == 0);
    text_free(&text);
    free(big);
}

static void
a_secret_must_be_private(void)
{
    text_t public = { 0 }, secret = { 0 };
    zcert_t *pair = zcert_new();
    cert_t cert = make(), read;
    cert_fault_t fault;
    strcpy(cert.public_text, zcert_public_txt(pair));
    strcpy(cert.secret_text, zcert_secret_txt(pair));
    cert_print(&cert, false, NULL, 0, &public);
    cert_print(&cert, true, NULL, 0, &secret);
    char *path = write_file(folder, "server", 0644, public.data);
    char *secret_path = write_file(folder, "server_secret", 0600, secret.data);
    CHECK(cert_load_secret(&read, path, &fault) == 0);
    for (size_t i = 0; i < 6; i++) {
        static const mode_t open_modes[] = {0640, 0604, 0620, 0602, 0644, 0610};
        chmod(secret_path, open_modes[i]);
        CHECK(cert_load_secret(&read, path, &fault) == -1);
        CHECK(strstr(fault.text, "chmod 600") != NULL);
        CHECK(!read.has_secret);
    }
    chmod(secret_path, 0400);
    CHECK(cert_load_secret(&read, path, &fault) == 0);
    // One file with both parts, and a public one from which no secret is kept.
    free(write_file(folder, "both", 0600, secret.data));
    char *both = xasprintf("%s/both", folder);
    CHECK(cert_load_secret(&read, both, &fault) == 0);
    CHECK(cert_load_public(&read, both, &fault) == 0);
    CHECK(!read.has_secret && !*read.secret_text);
    free(both);
    free(path);
    free(secret_path);
    text_free(&public);
    text_free(&secret);
    zcert_destroy(&pair);
}

static void
parts_that_do_not_belong_together_are_refused(void)
{
    zcert_t *one = zcert_new(), *two = zcert_new();
    cert_t cert = make(), read;
    cert_fault_t fault;
    text_t text = { 0 };
    strcpy(cert.public_text, zcert_public_txt(one));
    strcpy(cert.secret_text, zcert_secret_txt(two));
    cert_print(&cert, true, NULL, 0, &text);
    char *path = write_file(folder, "mixed", 0600, text.data);
    CHECK(cert_load_secret(&read, path, &fault) == -1);
    CHECK_TEXT(fault.text, "the secret key is not that of the public key");
    free(path);
    text_free(&text);
    zcert_destroy(&one);
    zcert_destroy(&two);
}

static void
what_is_no_file_is_refused(void)
{
    cert_t cert;
    cert_fault_t fault;
    CHECK(cert_load_public(&cert, folder, &fault) == -1);
    CHECK(cert_load_public(&cert, "/nonexistent/x", &fault) == -1);
    CHECK(cert_load_public(&cert, "/dev/zero", &fault) == -1);
}

static void
the_user_is_the_name_or_the_file(void)
{
    char user[CERT_NAME_MAX + 1];
    cert_t cert = { 0 };
    cert_user(&cert, "/a/b/alice.cert", user);
    CHECK_TEXT(user, "alice");
    cert_user(&cert, "bob.key", user);
    CHECK_TEXT(user, "bob");
    cert_user(&cert, "/x/carol", user);
    CHECK_TEXT(user, "carol");
    strcpy(cert.name, "dave.cert");
    cert_user(&cert, "/x/carol", user);
    CHECK_TEXT(user, "dave.cert");
}

static void
metadata_stays_on_its_line(void)
{
    CHECK(cert_metadata_fault("email=a@b") == NULL);
    CHECK(cert_metadata_fault("email=") == NULL);
    CHECK(cert_metadata_fault("email") != NULL);
    CHECK(cert_metadata_fault("=x") != NULL);
    CHECK(cert_metadata_fault("a b=x") != NULL);
    CHECK(cert_metadata_fault("a=x\ncurve") != NULL);
    CHECK(cert_metadata_fault("a=\"") != NULL);
}

int
main(void)
{
    if (!mkdtemp(folder))
        return EXIT_FAILURE;
    RUN(what_we_write_we_read);
    RUN(czmq_reads_what_we_write);
    RUN(we_read_what_czmq_writes);
    RUN(pyzmq_writes_without_quotes);
    RUN(line_ends_of_every_kind_are_fine);
    RUN(damage_is_reported_with_its_line);
    RUN(length_is_bounded_everywhere);
    RUN(a_secret_must_be_private);
    RUN(parts_that_do_not_belong_together_are_refused);
    RUN(what_is_no_file_is_refused);
    RUN(the_user_is_the_name_or_the_file);
    RUN(metadata_stays_on_its_line);
    char *command = xasprintf("rm -rf '%s'", folder);
    int rc = system(command);
    free(command);
    return rc == 0 ? test_done() : EXIT_FAILURE;
}
