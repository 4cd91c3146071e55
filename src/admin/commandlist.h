// SPDX-License-Identifier: MPL-2.0
// commandlist.h - the control commands, one row each. commands.c makes its table
// of the rows, zbrokerctl the list that it prints without a daemon.

#ifndef ZB_COMMANDLIST_H
#define ZB_COMMANDLIST_H

#define TAP_ARGUMENTS "ROUTE [topic PREFIX] [count N] [format line|hex|json]"

// The name, of one word or two; arguments, and how many at least and at most; the effect: READS, CHANGES (is logged
// with who asked for it) or CUTS (likewise, and is never suggested); whether it ANSWERS at once, WAITS for what it has
// begun, or STREAMS; the function; the help.

// clang-format off
#define COMMAND_LIST(ROW) \
    ROW("help",               "",             0, 0, READS,   ANSWERS, commands_help,      "this list") \
    ROW("status",             "",             0, 0, READS,   ANSWERS, status_show,        "the process, and what is wrong") \
    ROW("show routes",        "",             0, 0, READS,   ANSWERS, show_routes,        "states, endpoints and rates") \
    ROW("show route",         "ROUTE",        1, 1, READS,   ANSWERS, show_route,         "everything about one route") \
    ROW("show stats",         "[ROUTE]",      0, 1, READS,   ANSWERS, show_stats,         "messages, bytes, drops, blocked time") \
    ROW("show clients",       "[ROUTE]",      0, 1, READS,   ANSWERS, show_clients,       "who is connected") \
    ROW("show services",      "ROUTE",        1, 1, READS,   ANSWERS, servicelist_show,   "what a queue knows of its services") \
    ROW("show store",         "[ROUTE]",      0, 1, READS,   ANSWERS, storelist_show,     "what routes have on disk") \
    ROW("show subscriptions", "[ROUTE]",      0, 1, READS,   ANSWERS, show_subscriptions, "topics that subscribers ask for") \
    ROW("show values",        "ROUTE [PREFIX]", 1, 2, READS, ANSWERS, show_values,        "what a forwarder remembers, by topic") \
    ROW("show errors",        "",             0, 0, READS,   ANSWERS, errors_show,        "the latest warnings and errors") \
    ROW("show config",        "[ROUTE]",      0, 1, READS,   ANSWERS, status_config,      "the configuration as it runs") \
    ROW("show plan",          "[FILE]",       0, 1, READS,   ANSWERS, status_plan,        "what a reload of FILE would do") \
    ROW("pause",              "ROUTE",        1, 1, CHANGES, ANSWERS, act_pause,          "stop reading and sending, keep connections") \
    ROW("resume",             "ROUTE",        1, 1, CHANGES, ANSWERS, act_resume,         "continue after pause or drain") \
    ROW("drain",              "ROUTE",        1, 1, CUTS,    ANSWERS, act_drain,          "read nothing new, deliver what was received") \
    ROW("disable",            "ROUTE",        1, 1, CUTS,    WAITS,   act_disable,        "drain, then close") \
    ROW("enable",             "ROUTE",        1, 1, CHANGES, WAITS,   act_enable,         "make a route run again, whatever its state") \
    ROW("kick",               "ROUTE CLIENT", 2, 2, CUTS,    ANSWERS, act_kick,           "disconnect a client, by its id") \
    ROW("set log_level",      "LEVEL",        1, 1, CHANGES, ANSWERS, act_set_log_level,  "error, warning, notice, info, debug or trace") \
    ROW("clear counters",     "[ROUTE]",      0, 1, CHANGES, ANSWERS, act_clear,          "reset the counters of show stats") \
    ROW("clear values",       "ROUTE [PREFIX]", 1, 2, CHANGES, ANSWERS, act_clear_values, "make a forwarder forget, by topic") \
    ROW("reload",             "",             0, 0, CHANGES, WAITS,   act_reload,         "read the file again, all or nothing") \
    ROW("upgrade",            "",             0, 0, CUTS,    WAITS,   act_upgrade,        "replace the running program by the installed one") \
    ROW("tap",                TAP_ARGUMENTS,  1, 7, READS,   STREAMS, tapcommand_run,     "print messages as they pass") \
    ROW("stop",               "",             0, 0, CUTS,    ANSWERS, act_stop,           "drain and end; again: end at once")
// clang-format on

#endif
