// Puts a load on a WebSocket server, checks all that comes back, prints one line of JSON.
// Ends with status 1 if the figure is void, with 2 if the arguments make no sense.
#define _GNU_SOURCE
#include "load.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] =
  "usage: load --port PORT --pid PID [--mode traffic|listen|accept|idle|churn] [--rooms N] [--subscribers N]\n"
  "            [--publishers N] [--stalled N] [--window N] [--in-flight echo|all] [--size BYTES] [--rate PER_SECOND]\n"
  "            [--seconds N] [--messages N] [--protocol plain|centrifuge]\n";

static bool parse(int argc, char **argv, struct options *options) {
  static const struct option names[] = {
    {"mode", 1, NULL, 'm'},      {"pid", 1, NULL, 'p'},     {"port", 1, NULL, 'P'},  {"rooms", 1, NULL, 'r'},
    {"subscribers", 1, NULL, 's'}, {"publishers", 1, NULL, 'u'}, {"stalled", 1, NULL, 'S'}, {"window", 1, NULL, 'w'},
    {"size", 1, NULL, 'b'},      {"rate", 1, NULL, 'R'},    {"seconds", 1, NULL, 't'},
    {"messages", 1, NULL, 'M'},  {"protocol", 1, NULL, 'c'}, {"in-flight", 1, NULL, 'f'},
    {NULL, 0, NULL, 0},
  };
  for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    switch (name) {
    case 'm': options->mode = optarg; break;
    case 'p': options->pid = atoi(optarg); break;
    case 'P': options->port = atoi(optarg); break;
    case 'r': options->rooms = atoi(optarg); break;
    case 's': options->subscribers = atoi(optarg); break;
    case 'u': options->publishers = atoi(optarg); break;
    case 'S': options->stalled = atoi(optarg); break;
    case 'w': options->window = atoi(optarg); break;
    case 'b': options->size = atoi(optarg); break;
    case 'R': options->rate = atof(optarg); break;
    case 't': options->seconds = atof(optarg); break;
    case 'M': options->messages = atoi(optarg); break;
    case 'f':
      options->is_fair = strcmp(optarg, "all") == 0;
      if (!options->is_fair && strcmp(optarg, "echo") != 0) return false;
      break;
    case 'c':
      options->is_centrifuge = strcmp(optarg, "centrifuge") == 0;
      if (!options->is_centrifuge && strcmp(optarg, "plain") != 0) return false;
      break;
    default: return false;
    }
  }
  // A paced publisher waits for nobody.
  if (options->is_fair && (options->rate > 0 || strcmp(options->mode, "traffic") != 0)) return false;
  return optind == argc && options->port > 0 && options->port < 65536 && options->rooms > 0 &&
         options->subscribers >= 0 && options->publishers > 0 && options->stalled >= 0 &&
         options->stalled <= options->subscribers && options->window > 0 && options->window <= 4096 &&
         options->size >= STAMP_SIZE && options->size <= 65536 && options->rate >= 0 && options->seconds > 0 &&
         options->seconds <= 600 && options->messages >= 0;
}

int main(int argc, char **argv) {
  struct options options = {.mode = "traffic", .rooms = 1, .publishers = 1, .window = 1, .size = 32, .seconds = 1};
  if (!parse(argc, argv, &options)) {
    fputs(USAGE, stderr);
    return 2;
  }
  static struct report report;
  if (strcmp(options.mode, "traffic") == 0) {
    run_traffic(&options, &report);
  } else if (strcmp(options.mode, "listen") == 0) {
    run_listen(&options, &report);
  } else if (strcmp(options.mode, "accept") == 0 || strcmp(options.mode, "idle") == 0) {
    run_idle(&options, &report);
  } else if (strcmp(options.mode, "churn") == 0) {
    run_churn(&options, &report);
  } else {
    fputs(USAGE, stderr);
    return 2;
  }
  report_print(&report, &options);
  return report.void_because[0] == '\0' ? 0 : 1;
}
