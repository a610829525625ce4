// Percentiles, and the line of JSON that a run ends with.
#define _GNU_SOURCE
#include "load.h"

#include <stdarg.h>
#include <stdio.h>

// 128 buckets for each power of two: a percentile is right to 0.8%.
#define FINE_BITS 7
#define FINE (1u << FINE_BITS)

void histogram_add(struct histogram *histogram, uint64_t ns) {
  unsigned index = (unsigned)ns;
  if (ns >= FINE) {
    unsigned log = 63 - (unsigned)__builtin_clzll(ns);
    index = (log - FINE_BITS + 1) * FINE + (unsigned)(ns >> (log - FINE_BITS) & (FINE - 1));
  }
  histogram->bucket[index]++;
  histogram->count++;
  if (ns > histogram->max) histogram->max = ns;
}

static double bucket_ns(unsigned index) {
  if (index < FINE) return index;
  unsigned log = index / FINE + FINE_BITS - 1;
  return (double)((uint64_t)(FINE + index % FINE) << (log - FINE_BITS));
}

double histogram_percentile(const struct histogram *histogram, double part) {
  uint64_t rank = (uint64_t)((double)histogram->count * part), seen = 0;
  for (unsigned i = 0; i < BUCKETS; i++) {
    seen += histogram->bucket[i];
    if (seen > rank) return bucket_ns(i) / 1e3;
  }
  return 0;
}

void report_void(struct report *report, const char *format, ...) {
  if (report->void_because[0] != '\0') return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(report->void_because, sizeof report->void_because, format, arguments);
  va_end(arguments);
}

static double part(uint64_t value, double whole) { return whole > 0 ? (double)value / whole : 0; }

void report_print(const struct report *report, const struct options *options) {
  const struct usage *begin = &report->begin, *end = &report->end;
  uint64_t cpu = end->cpu_ns - begin->cpu_ns;
  // What one run counts: deliveries, or connections where none are delivered.
  bool is_churn = report->deliveries == 0 && report->connect_seconds == 0;
  double connections = (double)report->connections;
  printf("{\"mode\":\"%s\",\"rooms\":%d,\"subscribers\":%d,\"publishers\":%d,\"stalled\":%d,"
         "\"window\":%d,\"size\":%d,\"rate\":%g,",
         options->mode, options->rooms, options->subscribers, options->publishers, options->stalled,
         options->window, options->size, options->rate);
  // No quotation mark and no backslash gets into a reason.
  printf("\"void\":\"%s\",\"closed\":%d,\"stalled_closed\":%d,\"passed\":%d,", report->void_because,
         report->closed, report->stalled_closed, report->passed);
  printf("\"seconds\":%.4f,\"messages\":%llu,\"deliveries\":%llu,\"connections\":%llu,", report->seconds,
         (unsigned long long)report->messages, (unsigned long long)report->deliveries,
         (unsigned long long)report->connections);
  printf("\"deliveries_per_second\":%.0f,\"deliveries_per_cpu_second\":%.0f,\"cpu_ns_per_delivery\":%.1f,",
         part(report->deliveries, report->seconds), part(report->deliveries, (double)cpu / 1e9),
         part(cpu, (double)report->deliveries));
  printf("\"cpu_seconds\":%.4f,\"user_seconds\":%.2f,\"system_seconds\":%.2f,\"cpu_share\":%.5f,"
         "\"wait_share\":%.4f,",
         (double)cpu / 1e9, (double)(end->user_ns - begin->user_ns) / 1e9,
         (double)(end->system_ns - begin->system_ns) / 1e9, part(cpu, report->seconds * 1e9),
         part(end->wait_ns - begin->wait_ns, report->seconds * 1e9));
  // About what the server joined in a write.
  printf("\"deliveries_per_read\":%.1f,\"bytes_per_delivery\":%.1f,", part(report->deliveries, (double)report->reads),
         part(report->frame_bytes, (double)report->deliveries));
  printf("\"storms\":%d,\"whole_ms\":%.1f,\"quiet_p99_us\":%.1f,", report->storms, report->whole_ms,
         report->quiet_p99_us);
  printf("\"joined_ms\":%.1f,\"told_bytes\":%llu,\"told_objects\":%u,", report->joined_ms,
         (unsigned long long)report->told_bytes, report->told_objects);
  printf("\"load_cpu_share\":%.4f,\"load_wait_share\":%.4f,",
         part(report->self_end.cpu_ns - report->self_begin.cpu_ns, report->seconds * 1e9),
         part(report->self_end.wait_ns - report->self_begin.wait_ns, report->seconds * 1e9));
  const struct histogram *latency = &report->latency;
  printf("\"p50_us\":%.2f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,\"timed\":%llu,",
         histogram_percentile(latency, 0.5), histogram_percentile(latency, 0.9), histogram_percentile(latency, 0.99),
         histogram_percentile(latency, 0.999), (double)latency->max / 1e3, (unsigned long long)latency->count);
  uint64_t accept_cpu = is_churn ? cpu : report->connected.cpu_ns - report->start.cpu_ns;
  double accept_seconds = is_churn ? report->seconds : report->connect_seconds;
  uint64_t accept_wait = report->connected.wait_ns - report->start.wait_ns;
  printf("\"connections_per_second\":%.0f,\"cpu_us_per_connection\":%.2f,\"connect_wait\":%.4f,",
         part(report->connections, accept_seconds), part(accept_cpu, connections * 1e3),
         part(accept_wait, (double)(accept_cpu + accept_wait)));
  printf("\"rss_empty\":%llu,\"rss_connected\":%llu,\"rss_end\":%llu,\"rss_peak\":%llu,",
         (unsigned long long)report->start.rss, (unsigned long long)report->connected.rss,
         (unsigned long long)end->rss, (unsigned long long)end->peak);
  double grown = (double)report->connected.rss - (double)report->start.rss;
  printf("\"bytes_per_connection\":%.0f}\n", is_churn || connections == 0 ? 0 : grown / connections);
}
