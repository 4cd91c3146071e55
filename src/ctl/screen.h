// SPDX-License-Identifier: MPL-2.0
// screen.h - a terminal that is drawn on again and again, and whose keys are
// read one by one.

#ifndef ZB_CTL_SCREEN_H
#define ZB_CTL_SCREEN_H

#include <stdbool.h>

// True: there is a keyboard, and its keys come at once, unseen, until the screen is closed.
bool screen_keys(void);
void screen_close(void); // a signal handler may

// Clear it; draw TEXT from its first line on, as many lines of it as there is room for.
void screen_clear(void);
bool screen_draw(const char *text); // false: the terminal is gone

#endif
