// SPDX-License-Identifier: MPL-2.0
// Any topic comes back from its subject, and any subject that is taken is the one that its topic has.
#include "store/subject.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
there_and_back(const uint8_t *topic, size_t size)
{
    text_t subject = { 0 }, back = { 0 };
    subject_of(&subject, "zbroker.fuzz", topic, size);
    assert(strlen(subject.data) == subject.size && subject_is_prefix("zbroker.fuzz"));
    if (subject_topic(&back, "zbroker.fuzz", subject.data))
        assert(back.size == size && memcmp(back.data, topic, size) == 0);
    else
        assert(strncmp(subject.data, "zbroker.fuzz.~", 14) == 0);
    text_free(&subject);
    text_free(&back);
}

static void
back_and_there(const uint8_t *data, size_t size)
{
    text_t subject = { 0 }, topic = { 0 }, again = { 0 };
    text_add(&subject, "%s", "zbroker.fuzz.");
    text_bytes(&subject, data, size);
    if (subject_topic(&topic, "zbroker.fuzz", subject.data)) {
        subject_of(&again, "zbroker.fuzz", topic.data, topic.size);
        assert(strcmp(again.data, subject.data) == 0);
    }
    text_free(&subject);
    text_free(&topic);
    text_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    there_and_back(data, size);
    back_and_there(data, size);
    return 0;
}
