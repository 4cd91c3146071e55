#!/bin/sh
# SPDX-License-Identifier: MPL-2.0
# Make ./configure from a fresh checkout.
set -e
cd "$(dirname "$0")"
exec autoreconf --force --install "$@"
