// SPDX-License-Identifier: MPL-2.0
// report_plot.c - latencies as a picture, which gnuplot(1) draws.

#include "bench/report.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

// A curve as HDR histograms are drawn: latency over 1 / (1 - quantile).
static void
write_curve(FILE *out, size_t number, const hist_t *latency)
{
    fprintf(out, "$data%zu << END\n", number);
    uint64_t seen = 0;
    for (size_t i = 0; i < HIST_BUCKETS; i++) {
        if (!latency->bucket[i])
            continue;
        uint64_t bound = hist_upper(i) < latency->max ? hist_upper(i) : latency->max;
        seen += latency->bucket[i];
        double left = (double)(latency->count - seen);
        double inverse = (double)latency->count / (left > 0 ? left : 1);
        fprintf(out, "%.9g %.9g\n", inverse, (double)bound / 1e3);
    }
    fprintf(out, "END\n");
}

// Names go into quoted gnuplot strings.
static void
write_quoted(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++)
        fputc(*text == '"' || *text == '\\' || *text == '\n' || *text == '_' ? ' ' : *text, out);
    fputc('"', out);
}

static void
write_plot(FILE *out, const bench_options_t *options, const subject_t *subject, size_t count)
{
    fprintf(out, "set terminal svg size 800,500 background 'white'\nset output ");
    fputc('\'', out);
    for (const char *at = options->plot; *at; at++)
        fputs(*at == '\'' ? "''" : (char[]){ *at, 0 }, out);
    fprintf(out, "'\nset logscale xy\nset grid\nset key left top\nset ylabel 'latency, us'\nset xlabel 'percentile'\n"
                 "set xtics ('0' 1, '50' 2, '90' 10, '99' 100, '99.9' 1e3, '99.99' 1e4, '99.999' 1e5)\nset title ");
    char title[200];
    snprintf(title, sizeof title, "%s %lld:%lld, %lld B, %lld/s", options->pattern->name, (long long)options->producers,
             (long long)options->consumers, (long long)options->size, (long long)options->rate);
    write_quoted(out, *options->name ? options->name : title);
    fputc('\n', out);
    for (size_t i = 0; i < count; i++)
        write_curve(out, i, &subject[i].total.latency);
    const char *before = "plot ";
    for (size_t i = 0; i < count; i++)
        if (subject[i].total.latency.count) {
            fprintf(out, "%s$data%zu with steps linewidth 2 title ", before, i);
            write_quoted(out, subject[i].name);
            before = ", ";
        }
    fputc('\n', out);
}

int
report_plot(const bench_options_t *options, const subject_t *subject, size_t count)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) == -1)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[0], STDIN_FILENO);
        execlp("gnuplot", "gnuplot", (char *)NULL);
        _exit(127);
    }
    close(ends[0]);
    FILE *out = fdopen(ends[1], "w");
    if (out) {
        write_plot(out, options, subject, count);
        fclose(out);
    } else
        close(ends[1]);
    int status = -1;
    if (pid > 0)
        waitpid(pid, &status, 0);
    if (status == 0)
        return 0;
    bool missing = WIFEXITED(status) && WEXITSTATUS(status) == 127;
    fprintf(stderr, "zbroker-bench: no plot: gnuplot %s\n", missing ? "is not installed" : "failed");
    return -1;
}
