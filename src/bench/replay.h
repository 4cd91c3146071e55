// SPDX-License-Identifier: MPL-2.0
// replay.h - plays back what `zbrokerctl record' has written, with the gaps between
// messages as they were, from one socket.

#ifndef ZB_BENCH_REPLAY_H
#define ZB_BENCH_REPLAY_H

// `zbroker-bench replay' with its own command line, of which ARGV[0] is not looked at. The exit status.
int replay_run(int argc, char **argv);

#endif
