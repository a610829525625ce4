// Puts a load on a WebSocket server, checks all that comes back, prints one line of JSON.
// Ends with status 1 if the figure is void, with 2 if the arguments make no sense.
#define _GNU_SOURCE
#include "load.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] =
  "usage: load --port PORT --pid PID [--mode traffic|listen|accept|idle|churn|beside|storm|join|back|follow|\n"
  "                                      requests]\n"
  "            [--rooms N] [--subscribers N]\n"
  "            [--publishers N] [--stalled N] [--window N] [--in-flight echo|all] [--size BYTES] [--rate PER_SECOND]\n"
  "            [--seconds N] [--messages N] [--protocol plain|centrifuge] [--form plain|json|events|mixed|forms]\n"
  "            beside: [--churn PER_SECOND] [--sends PER_SECOND] [--disconnects PER_SECOND]\n"
  "            storm: [--cut N]\n"
  "            join: [--watchers N] [--ramp SECONDS]\n"
  "            back: [--cut N] [--watchers N] [--joins N] [--grace MS] [--members off|clients]\n"
  "            follow: [--joins N] [--bridges N] [--aside 0|1] [--batch N]\n";

static bool parse_form(const char *text, enum form *form) {
  static const char *const names[] = {
    [PLAIN] = "plain", [JSON] = "json", [EVENTS] = "events", [MIXED] = "mixed", [FORMS] = "forms"};
  for (int i = 0; i < (int)(sizeof names / sizeof *names); i++) {
    if (strcmp(text, names[i]) != 0) continue;
    *form = (enum form)i;
    return true;
  }
  return false;
}

static bool parse(int argc, char **argv, struct options *options) {
  static const struct option names[] = {
    {"mode", 1, NULL, 'm'},      {"pid", 1, NULL, 'p'},     {"port", 1, NULL, 'P'},  {"rooms", 1, NULL, 'r'},
    {"subscribers", 1, NULL, 's'}, {"publishers", 1, NULL, 'u'}, {"stalled", 1, NULL, 'S'}, {"window", 1, NULL, 'w'},
    {"size", 1, NULL, 'b'},      {"rate", 1, NULL, 'R'},    {"seconds", 1, NULL, 't'},
    {"messages", 1, NULL, 'M'},  {"protocol", 1, NULL, 'c'}, {"in-flight", 1, NULL, 'f'},
    {"churn", 1, NULL, 'C'},     {"sends", 1, NULL, 'd'},    {"disconnects", 1, NULL, 'D'},
    {"joins", 1, NULL, 'j'},     {"bridges", 1, NULL, 'B'},  {"aside", 1, NULL, 'a'},
    {"batch", 1, NULL, 'n'},     {"form", 1, NULL, 'F'},     {"cut", 1, NULL, 'X'},
    {"watchers", 1, NULL, 'W'},  {"ramp", 1, NULL, 'A'},     {"grace", 1, NULL, 'g'},    {"members", 1, NULL, 'e'},
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
    case 'C': options->churn = atof(optarg); break;
    case 'd': options->sends = atof(optarg); break;
    case 'D': options->disconnects = atof(optarg); break;
    case 'j': options->joins = atoi(optarg); break;
    case 'B': options->bridges = atoi(optarg); break;
    case 'a': options->aside = atoi(optarg); break;
    case 'n': options->batch = atoi(optarg); break;
    case 'X': options->cut = atoi(optarg); break;
    case 'W': options->watchers = atoi(optarg); break;
    case 'A': options->ramp = atof(optarg); break;
    case 'g': options->grace = atoi(optarg); break;
    case 'e':
      options->has_members = strcmp(optarg, "clients") == 0;
      if (!options->has_members && strcmp(optarg, "off") != 0) return false;
      break;
    case 'F':
      if (!parse_form(optarg, &options->form)) return false;
      break;
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
  bool has_forms = strcmp(options->mode, "traffic") == 0 || strcmp(options->mode, "accept") == 0 ||
                   strcmp(options->mode, "idle") == 0;
  // Those that come back in a storm have positions.
  bool is_storm = strcmp(options->mode, "storm") == 0 && (options->form == JSON || options->form == EVENTS);
  if (options->form != PLAIN && (options->is_centrifuge || !(has_forms || is_storm))) return false;
  return optind == argc && options->port > 0 && options->port < 65536 && options->rooms > 0 &&
         options->subscribers >= 0 && options->publishers > 0 && options->stalled >= 0 &&
         options->stalled <= options->subscribers && options->window > 0 && options->window <= 4096 &&
         options->size >= STAMP_SIZE && options->size <= 65536 && options->rate >= 0 && options->seconds > 0 &&
         options->seconds <= 600 && options->messages >= 0 &&
         options->churn >= 0 && options->churn <= 10000 && options->sends >= 0 && options->disconnects >= 0 &&
         options->joins > 0 && options->joins <= options->rooms && options->bridges >= 0 && options->watchers >= 0 &&
         options->ramp >= 0 && options->ramp <= 60 && options->grace >= 0 && options->grace <= 60000 &&
         options->bridges <= options->subscribers && (options->aside == 0 || options->aside == 1) &&
         options->cut >= 0 && options->cut <= options->subscribers && options->batch >= 0 && options->batch % options->rooms == 0;
}

int main(int argc, char **argv) {
  struct options options = {.mode = "traffic", .rooms = 1, .publishers = 1, .window = 1, .size = 32, .seconds = 1,
                            .joins = 1};
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
  } else if (strcmp(options.mode, "beside") == 0) {
    run_beside(&options, &report);
  } else if (strcmp(options.mode, "storm") == 0) {
    run_storm(&options, &report);
  } else if (strcmp(options.mode, "join") == 0) {
    run_join(&options, &report);
  } else if (strcmp(options.mode, "back") == 0) {
    run_back(&options, &report);
  } else if (strcmp(options.mode, "follow") == 0) {
    run_follow(&options, &report);
  } else if (strcmp(options.mode, "requests") == 0) {
    run_requests(&options, &report);
  } else {
    fputs(USAGE, stderr);
    return 2;
  }
  report_print(&report, &options);
  return report.void_because[0] == '\0' ? 0 : 1;
}
