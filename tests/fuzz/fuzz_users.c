// SPDX-License-Identifier: MPL-2.0
//
// A file of users is any bytes; who is in it is found, by exactly that name.
#include "guard/users.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    diag_t *diag = diag_new();
    users_t *users = users_parse("users", (const char *)data, size, diag);
    const char *name, *hash;
    if (!users && diag_errors(diag) == 0)
        abort();
    for (size_t i = 0; users && (name = users_at(users, i, &hash)); i++)
        if (users_name_fault(name, strlen(name)) || users_hash(users, name, strlen(name)) != hash)
            abort();
    if (users)
        users_hash(users, data, size);
    users_free(&users);
    diag_destroy(&diag);
    return 0;
}
