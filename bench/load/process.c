// What a process has used so far, from /proc.
#define _GNU_SOURCE
#include "load.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static bool has_name(pid_t pid, const char *thread, const char *prefix) {
  char path[320], name[32] = "";
  snprintf(path, sizeof path, "/proc/%d/task/%s/comm", (int)pid, thread);
  FILE *file = prefix[0] == '\0' ? NULL : fopen(path, "r");
  if (file == NULL) return prefix[0] == '\0';
  bool is_read = fgets(name, sizeof name, file) != NULL;
  fclose(file);
  return is_read && strncmp(name, prefix, strlen(prefix)) == 0;
}

// The scheduler's own account of each thread: the same time as utime + stime, in nanoseconds where
// those are in hundredths of a second, and beside it the time that the thread waited for a core.
static void read_threads(pid_t pid, const char *prefix, struct usage *usage) {
  char path[320];
  snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
  DIR *dir = opendir(path);
  if (dir == NULL) return;
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    if (entry->d_name[0] == '.' || !has_name(pid, entry->d_name, prefix)) continue;
    snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, entry->d_name);
    FILE *file = fopen(path, "r");
    if (file == NULL) continue;
    unsigned long long cpu, wait;
    if (fscanf(file, "%llu %llu", &cpu, &wait) == 2) {
      usage->cpu_ns += cpu;
      usage->wait_ns += wait;
    }
    fclose(file);
  }
  closedir(dir);
}

static void read_times(pid_t pid, struct usage *usage) {
  char path[64], line[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *file = fopen(path, "r");
  if (file == NULL) return;
  if (fgets(line, sizeof line, file) != NULL) {
    // The name, in parentheses, may hold anything.
    const char *rest = strrchr(line, ')');
    unsigned long long user, system;
    if (rest != NULL &&
        sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) == 2) {
      uint64_t tick = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
      usage->user_ns = user * tick;
      usage->system_ns = system * tick;
    }
  }
  fclose(file);
}

static void read_memory(pid_t pid, struct usage *usage) {
  char path[64], line[256];
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  FILE *file = fopen(path, "r");
  if (file == NULL) return;
  while (fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, "VmRSS:", 6) == 0) usage->rss = strtoull(line + 6, NULL, 10) * 1024;
    if (strncmp(line, "VmHWM:", 6) == 0) usage->peak = strtoull(line + 6, NULL, 10) * 1024;
  }
  fclose(file);
}

bool reset_peak(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/clear_refs", (int)pid);
  FILE *file = fopen(path, "w");
  if (file == NULL) return false;
  bool is_written = fputs("5", file) >= 0;
  return fclose(file) == 0 && is_written;
}

struct usage usage_of(pid_t pid) { return usage_of_threads(pid, ""); }

struct usage usage_of_threads(pid_t pid, const char *prefix) {
  struct usage usage = {0};
  if (pid > 0) {
    read_threads(pid, prefix, &usage);
    read_times(pid, &usage);
    read_memory(pid, &usage);
  }
  return usage;
}
