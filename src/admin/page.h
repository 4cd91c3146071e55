// SPDX-License-Identifier: MPL-2.0
// page.h - the status page: the files of src/admin/page/, compiled in by
// embed.sh. What they show they ask from the JSON of the API; for readers without
// JavaScript index.html gets one plain table.
//
// index.html is served at "/", every other file at "/NAME". The type follows
// from the ending: .html .js .css .svg .png .ico, else text/plain.

#ifndef ZB_PAGE_H
#define ZB_PAGE_H

#include "base/text.h"
#include "broker/broker.h"

#include <stddef.h>

typedef struct {
    const char *path;         // "/app.js"
    const char *content_type; // "text/javascript; charset=utf-8"
    const unsigned char *bytes;
    size_t size;
} page_asset_t;

// Made by embed.sh; the last one has path NULL.
extern const page_asset_t page_assets[];

const page_asset_t *page_find(const char *path); // NULL: no such file

// index.html, with a row for each route in the table of its <noscript>.
void page_write(broker_t *broker, text_t *out);

#endif
