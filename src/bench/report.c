// SPDX-License-Identifier: MPL-2.0

#include "bench/report.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const double percents[] = { 50, 90, 99, 99.9, 99.99 };
static const char *const percent_names[] = { "p50", "p90", "p99", "p99.9", "p99.99" };
enum { PERCENTS = sizeof percents / sizeof *percents };

// --- Figures -----------------------------------------------------------------

static double
cpu_per_message(const load_result_t *result)
{
    return result->broker.known && result->delivered ? (double)result->broker.cpu_ns / (double)result->delivered : -1;
}

figures_t
report_figures(const load_result_t *result)
{
    bool timed = result->latency.count > 0;
    return (figures_t){
        .rate = result->seconds > 0 ? (double)result->delivered / result->seconds : -1,
        .cpu_ns = cpu_per_message(result),
        .p50_ns = timed ? (double)hist_percentile(&result->latency, 50) : -1,
        .p99_ns = timed ? (double)hist_percentile(&result->latency, 99) : -1,
    };
}

static void
add_broker(proc_t *total, const proc_t *round)
{
    if (!round->known)
        return;
    if (!total->known) {
        *total = *round;
        return;
    }
    total->cpu_ns += round->cpu_ns;
    total->switches += round->switches;
    if (round->rss_bytes > total->rss_bytes)
        total->rss_bytes = round->rss_bytes;
    // A broker that is started for every round has the same threads in the same order.
    for (size_t i = 0; i < total->threads && i < round->threads && i < PROC_THREADS; i++) {
        total->thread[i].cpu_ns += round->thread[i].cpu_ns;
        total->thread[i].switches += round->thread[i].switches;
    }
}

void
report_add(load_result_t *total, const load_result_t *round)
{
    total->seconds += round->seconds;
    total->delivered += round->delivered;
    total->bytes += round->bytes;
    total->sent += round->sent;
    total->expected += round->expected;
    total->received += round->received;
    total->lost += round->lost;
    total->doubled += round->doubled;
    total->reordered += round->reordered;
    total->corrupt += round->corrupt;
    total->retried += round->retried;
    total->failed += round->failed;
    hist_merge(&total->latency, &round->latency);
    add_broker(&total->broker, &round->broker);
    total->producers = round->producers;
    total->clients = round->clients;
    for (size_t i = 0; i < round->clients; i++) {
        load_client_t *to = &total->client[i];
        const load_client_t *from = &round->client[i];
        uint64_t received = to->received + from->received;
        if (received)
            to->mean_ns = (to->mean_ns * (double)to->received + from->mean_ns * (double)from->received) / (double)received;
        to->sent += from->sent;
        to->received = received;
        to->bytes += from->bytes;
    }
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Sort the known ones to the front, and say how many there are.
static size_t
sort_known(double *values, size_t count)
{
    size_t known = 0;
    for (size_t i = 0; i < count; i++)
        if (values[i] >= 0)
            values[known++] = values[i];
    qsort(values, known, sizeof *values, compare);
    return known;
}

double
report_median(const double *values, size_t count)
{
    double *copy = xcalloc(count + 1, sizeof *copy);
    memcpy(copy, values, count * sizeof *copy);
    size_t known = sort_known(copy, count);
    double middle = known ? (copy[(known - 1) / 2] + copy[known / 2]) / 2 : -1;
    free(copy);
    return middle;
}

// --- Tables ------------------------------------------------------------------

// A number in at most 7 columns: "1.23 M", "845 k", "-" for unknown.
static const char *
short_number(double value, char text[24])
{
    static const char *const units[] = { "", " k", " M", " G", " T" };
    size_t unit = 0;
    for (; value >= 9999.5 && unit < 4; unit++)
        value /= 1000;
    if (value < 0)
        snprintf(text, 24, "-");
    else
        snprintf(text, 24, value < 99.95 && unit ? "%.1f%s" : "%.0f%s", value, units[unit]);
    return text;
}

static const char *
short_time(double ns, char text[24])
{
    if (ns < 0)
        snprintf(text, 24, "-");
    else if (ns < 9999.5)
        snprintf(text, 24, "%.0f ns", ns);
    else if (ns < 1e6)
        snprintf(text, 24, ns < 99950 ? "%.1f us" : "%.0f us", ns / 1e3);
    else if (ns < 1e9)
        snprintf(text, 24, ns < 1e8 ? "%.2f ms" : "%.0f ms", ns / 1e6);
    else
        snprintf(text, 24, "%.2f s", ns / 1e9);
    return text;
}

void
report_heading(const options_t *options)
{
    printf("%s%s%s %lld:%lld, %lld B", options->name, *options->name ? ": " : "", options->pattern->name,
           (long long)options->producers, (long long)options->consumers, (long long)options->size);
    if (options->parts > 1)
        printf(" x %lld parts%s", (long long)options->parts, options->empty ? ", every second empty" : "");
    if (options->topics > 1)
        printf(", %lld topics%s", (long long)options->topics, options->split_topics ? " shared out" : "");
    if (options->outstanding && options->pattern->replies)
        printf(", %lld outstanding", (long long)options->outstanding);
    if (options->work_us)
        printf(", %lld us of work", (long long)options->work_us);
    if (options->rate)
        printf(", %lld/s", (long long)options->rate);
    else
        printf(", saturated");
    if (options->messages)
        printf(", %lld messages, checked", (long long)options->messages);
    else
        printf(", %.3g s%s", (double)options->duration_ms / 1e3, options->verify ? ", checked" : "");
    if (options->rounds > 1)
        printf(", %lld rounds", (long long)options->rounds);
    printf("\n");
}

static int
name_width(const subject_t *subject, size_t count)
{
    size_t width = 8;
    for (size_t i = 0; i < count; i++)
        if (strlen(subject[i].name) > width)
            width = strlen(subject[i].name);
    return width > 28 ? 28 : (int)width;
}

static void
print_each(const subject_t *subject)
{
    char a[24], b[24];
    const load_result_t *total = &subject->total;
    for (size_t i = 0; i < total->clients; i++) {
        const load_client_t *client = &total->client[i];
        bool producer = i < total->producers;
        printf("  %s %zu: %" PRIu64 " sent, %" PRIu64 " received", producer ? "producer" : "consumer",
               producer ? i : i - total->producers, client->sent, client->received);
        if (client->mean_ns > 0)
            printf(", mean %s", short_time(client->mean_ns, a));
        printf("\n");
    }
    for (size_t i = 0; total->broker.known && i < total->broker.threads && i < PROC_THREADS; i++) {
        const proc_thread_t *thread = &total->broker.thread[i];
        double per_message = total->delivered ? (double)thread->cpu_ns / (double)total->delivered : 0;
        printf("  thread %-15s %5.1f %% of a core, %s a message, %s waits\n", thread->name,
               (double)thread->cpu_ns / 1e7 / total->seconds, short_time(per_message, a),
               short_number((double)thread->switches, b));
    }
}

static void
print_faults(const subject_t *subject)
{
    const load_result_t *total = &subject->total;
    printf("  %s: %" PRIu64 " sent, %" PRIu64 " received of %" PRIu64 ": %" PRIu64 " lost, %" PRIu64 " doubled, %" PRIu64
           " reordered, %" PRIu64 " corrupt",
           subject->name, total->sent, total->received, total->expected, total->lost, total->doubled, total->reordered,
           total->corrupt);
    if (total->retried || total->failed)
        printf(", %" PRIu64 " retried, %" PRIu64 " failed", total->retried, total->failed);
    printf("\n");
}

void
report_table(const options_t *options, const subject_t *subject, size_t count)
{
    char text[PERCENTS + 8][24];
    int width = name_width(subject, count);
    printf("%-*s %8s %8s %9s %7s %8s %8s", width, "", "msg/s", "MB/s", "CPU/msg", "core %", "waits/s", "RSS MB");
    for (size_t i = 0; i < PERCENTS; i++)
        printf(" %9s", percent_names[i]);
    printf(" %9s\n", "max");
    for (size_t s = 0; s < count; s++) {
        const load_result_t *total = &subject[s].total;
        const proc_t *broker = &total->broker;
        double seconds = total->seconds > 0 ? total->seconds : 1;
        printf("%-*.*s %8s %8s %9s", width, width, subject[s].name,
               short_number((double)total->delivered / seconds, text[0]),
               short_number((double)total->bytes / seconds / 1e6, text[1]), short_time(cpu_per_message(total), text[2]));
        if (broker->known)
            printf(" %7.1f %8s %8.1f", (double)broker->cpu_ns / 1e7 / seconds,
                   short_number((double)broker->switches / seconds, text[3]), (double)broker->rss_bytes / 1e6);
        else
            printf(" %7s %8s %8s", "-", "-", "-");
        for (size_t i = 0; i < PERCENTS; i++)
            printf(" %9s", short_time(total->latency.count ? (double)hist_percentile(&total->latency, percents[i]) : -1, text[4]));
        printf(" %9s\n", short_time(total->latency.count ? (double)total->latency.max : -1, text[4]));
    }
    for (size_t s = 0; s < count; s++) {
        print_faults(&subject[s]);
        if (options->each)
            print_each(&subject[s]);
    }
}

static double
ratio(double value, double base)
{
    return value >= 0 && base > 0 ? value / base : -1;
}

// The FIELD-th double of figures_t of every round, as ratios to BASE's.
static void
print_ratio(const subject_t *base, const subject_t *subject, size_t field)
{
    double *ratios = xcalloc(subject->rounds + 1, sizeof *ratios);
    size_t rounds = subject->rounds < base->rounds ? subject->rounds : base->rounds;
    for (size_t i = 0; i < rounds; i++) {
        const double *mine = (const double *)&subject->round[i], *others = (const double *)&base->round[i];
        ratios[i] = ratio(mine[field], others[field]);
    }
    size_t known = sort_known(ratios, rounds);
    if (known)
        printf("  %5.2f (%4.2f to %5.2f)", report_median(ratios, known), ratios[0], ratios[known - 1]);
    else
        printf("  %22s", "-");
    free(ratios);
}

void
report_ratios(const subject_t *base, const subject_t *subject, size_t count)
{
    int width = name_width(subject, count);
    printf("\nratios to %s, median of rounds (least to most)\n%-*s", base->name, width, "");
    static const char *const heads[] = { "msg/s", "CPU/msg", "p50", "p99" };
    for (size_t i = 0; i < 4; i++)
        printf("  %-22s", heads[i]);
    printf("\n");
    for (size_t s = 0; s < count; s++) {
        if (&subject[s] == base)
            continue;
        printf("%-*.*s", width, width, subject[s].name);
        for (size_t field = 0; field < 4; field++)
            print_ratio(base, &subject[s], field);
        printf("\n");
    }
}

// --- JSON --------------------------------------------------------------------

static void
json_load(json_t *json, const options_t *options)
{
    json_object(json, "load");
    json_string(json, "pattern", options->pattern->name);
    json_int(json, "producers", options->producers);
    json_int(json, "consumers", options->consumers);
    json_int(json, "size", options->size);
    json_int(json, "parts", options->parts);
    json_int(json, "topics", options->topics);
    json_int(json, "rate", options->rate);
    json_int(json, "messages", options->messages);
    json_int(json, "outstanding", options->outstanding);
    json_int(json, "work_us", options->work_us);
    json_string(json, "transport", options->transport);
    json_bool(json, "nodrop", options->nodrop);
    json_bool(json, "curve", options->curve);
    json_object_end(json);
}

static void
json_latency(json_t *json, const hist_t *latency)
{
    json_object(json, "latency_ns");
    json_uint(json, "count", latency->count);
    json_real(json, "mean", hist_mean(latency));
    for (size_t i = 0; i < PERCENTS; i++)
        json_uint(json, percent_names[i], hist_percentile(latency, percents[i]));
    json_uint(json, "max", latency->max);
    json_object_end(json);
}

static void
json_broker(json_t *json, const load_result_t *result)
{
    const proc_t *broker = &result->broker;
    if (!broker->known) {
        json_null(json, "broker");
        return;
    }
    json_object(json, "broker");
    json_uint(json, "cpu_ns", broker->cpu_ns);
    json_real(json, "cpu_ns_per_message", cpu_per_message(result));
    json_uint(json, "voluntary_switches", broker->switches);
    json_uint(json, "rss_bytes", broker->rss_bytes);
    json_array(json, "threads");
    for (size_t i = 0; i < broker->threads && i < PROC_THREADS; i++) {
        json_object(json, NULL);
        json_string(json, "name", broker->thread[i].name);
        json_uint(json, "cpu_ns", broker->thread[i].cpu_ns);
        json_uint(json, "voluntary_switches", broker->thread[i].switches);
        json_object_end(json);
    }
    json_array_end(json);
    json_object_end(json);
}

static void
json_clients(json_t *json, const load_result_t *result)
{
    json_array(json, "clients");
    for (size_t i = 0; i < result->clients; i++) {
        json_object(json, NULL);
        json_string(json, "side", i < result->producers ? "producer" : "consumer");
        json_uint(json, "sent", result->client[i].sent);
        json_uint(json, "received", result->client[i].received);
        json_real(json, "mean_ns", result->client[i].mean_ns);
        json_object_end(json);
    }
    json_array_end(json);
}

int
report_json(const options_t *options, const char *subject, size_t round, const load_result_t *result)
{
    text_t line = { 0 };
    char when[32];
    clock_rfc3339(clock_wall_ns(), when);
    json_t json = json_on(&line);
    json_object(&json, NULL);
    json_string(&json, "time", when);
    json_string(&json, "name", options->name);
    json_string(&json, "subject", subject);
    json_uint(&json, "round", round);
    json_load(&json, options);
    json_real(&json, "seconds", result->seconds);
    json_uint(&json, "delivered", result->delivered);
    json_real(&json, "messages_per_second", report_figures(result).rate);
    json_uint(&json, "bytes", result->bytes);
    json_uint(&json, "sent", result->sent);
    json_uint(&json, "expected", result->expected);
    json_uint(&json, "received", result->received);
    json_uint(&json, "lost", result->lost);
    json_uint(&json, "doubled", result->doubled);
    json_uint(&json, "reordered", result->reordered);
    json_uint(&json, "corrupt", result->corrupt);
    json_uint(&json, "retried", result->retried);
    json_uint(&json, "failed", result->failed);
    json_latency(&json, &result->latency);
    json_broker(&json, result);
    json_clients(&json, result);
    json_object_end(&json);
    text_char(&line, '\n');

    // One write, appended: several runs may share the file.
    int fd = open(options->json, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666), rc = 0;
    if (fd == -1 || write(fd, line.data, line.size) != (ssize_t)line.size) {
        fprintf(stderr, "zbroker-bench: %s: %s\n", options->json, strerror(errno));
        rc = -1;
    }
    if (fd != -1)
        close(fd);
    text_free(&line);
    return rc;
}

// --- Plot --------------------------------------------------------------------

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
write_plot(FILE *out, const options_t *options, const subject_t *subject, size_t count)
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
report_plot(const options_t *options, const subject_t *subject, size_t count)
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
