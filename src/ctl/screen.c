// SPDX-License-Identifier: MPL-2.0
// screen.c - see screen.h.

#include "ctl/screen.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios before;
static volatile sig_atomic_t changed;

bool
screen_keys(void)
{
    struct termios now;
    if (!isatty(STDIN_FILENO) || (!changed && tcgetattr(STDIN_FILENO, &before) == -1))
        return false;
    now = before;
    now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    now.c_cc[VMIN] = 1;
    now.c_cc[VTIME] = 0;
    changed = 1;
    return tcsetattr(STDIN_FILENO, TCSANOW, &now) == 0;
}

void
screen_close(void)
{
    if (changed)
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    changed = 0;
}

void
screen_clear(void)
{
    fputs("\033[2J", stdout);
}

bool
screen_draw(const char *text)
{
    struct winsize size;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1;
    fputs("\033[H", stdout);
    // The line behind the last one is the cursor's.
    for (int left = known ? size.ws_row - 1 : -1; *text && left; left--) {
        size_t length = strcspn(text, "\n");
        printf("%.*s\033[K\n", (int)length, text);
        text += length + (text[length] == '\n');
    }
    fputs("\033[J", stdout);
    return fflush(stdout) != EOF;
}
