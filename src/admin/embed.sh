#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# embed.sh FILE... - write a C source with the FILEs in it: the table of page.h.
set -eu

type_of() {
    case $1 in
    *.html) echo 'text/html; charset=utf-8' ;;
    *.js) echo 'text/javascript; charset=utf-8' ;;
    *.css) echo 'text/css; charset=utf-8' ;;
    *.svg) echo 'image/svg+xml' ;;
    *.png) echo 'image/png' ;;
    *.ico) echo 'image/x-icon' ;;
    *) echo 'text/plain; charset=utf-8' ;;
    esac
}

echo '// Made by embed.sh.'
echo '#include "admin/page.h"'
number=0
for file; do
    echo "static const unsigned char file_$number[] = {"
    # A final 0 that is not counted, so that a text can be read as a string.
    od -An -v -tx1 "$file" | sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g'
    echo '0 };'
    number=$((number + 1))
done
echo 'const page_asset_t page_assets[] = {'
number=0
for file; do
    path=/${file##*/}
    test "$path" != /index.html || path=/
    echo "    { \"$path\", \"$(type_of "$file")\", file_$number, sizeof file_$number - 1 },"
    number=$((number + 1))
done
echo '    { NULL, NULL, NULL, 0 },'
echo '};'
