package chat

/*
#include "libchat_cgo.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// Lines that wait for Go. libchat's threads put lines here and return: they run no Go code, and a slow
// logger delays no client.

#define CHAT_GO_LINES 1024

typedef struct chat_go_line {
  struct chat_go_line *next;
  uint32_t level;
  size_t len;
  char text[];
} chat_go_line;

typedef struct chat_go_log {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  chat_go_line *first, *last;
  size_t count;
  uint64_t dropped;
  int closed;
} chat_go_log;

static chat_go_log *chat_go_log_new(void) {
  chat_go_log *log = calloc(1, sizeof *log);
  if (log) {
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->changed, NULL);
  }
  return log;
}

// A line of level 0 is a mark that Go puts, and always fits.
static void chat_go_log_put(void *user_data, uint32_t level, const char *text, size_t len) {
  chat_go_log *log = user_data;
  chat_go_line *line = malloc(sizeof *line + len);
  if (line) {
    line->next = NULL;
    line->level = level;
    line->len = len;
    if (len) memcpy(line->text, text, len);
  }
  pthread_mutex_lock(&log->lock);
  if (!line || (level != 0 && log->count >= CHAT_GO_LINES)) {
    log->dropped++;
    free(line);
  } else {
    if (log->last) log->last->next = line; else log->first = line;
    log->last = line;
    log->count++;
  }
  pthread_cond_signal(&log->changed);
  pthread_mutex_unlock(&log->lock);
}

// No line follows.
static void chat_go_log_close(void *user_data) {
  chat_go_log *log = user_data;
  pthread_mutex_lock(&log->lock);
  log->closed = 1;
  pthread_cond_signal(&log->changed);
  pthread_mutex_unlock(&log->lock);
}

static void chat_go_lines_free(chat_go_line *line) {
  while (line) {
    chat_go_line *next = line->next;
    free(line);
    line = next;
  }
}

// Waits for lines and takes all of them. After the last line it returns NULL and a `dropped` of 0. Only
// the goroutine calls it, which then frees the log.
static chat_go_line *chat_go_log_take(chat_go_log *log, uint64_t *dropped) {
  pthread_mutex_lock(&log->lock);
  while (!log->first && !log->dropped && !log->closed) pthread_cond_wait(&log->changed, &log->lock);
  chat_go_line *lines = log->first;
  *dropped = log->dropped;
  log->first = log->last = NULL;
  log->count = 0;
  log->dropped = 0;
  pthread_mutex_unlock(&log->lock);
  return lines;
}

static void chat_go_log_free(chat_go_log *log) {
  pthread_cond_destroy(&log->changed);
  pthread_mutex_destroy(&log->lock);
  free(log);
}

static const char *chat_go_line_text(const chat_go_line *line) { return line->text; }

static chat_status chat_go_log_set(chat_config *config, uint32_t level, chat_go_log *log) {
  return chat_config_set_log_handler(config, level, chat_go_log_put, log, chat_go_log_close);
}
*/
import "C"

import (
	"context"
	"log/slog"
	"time"
	"unsafe"
)

// LevelTrace is more detailed than slog.LevelDebug.
const LevelTrace = slog.LevelDebug - 4

// flushTime is how long a stop waits for a logger to take the last lines.
const flushTime = time.Second

// levels are the levels of slog, indexed by libchat's number.
var levels = [...]slog.Level{
	C.CHAT_LOG_ERROR: slog.LevelError,
	C.CHAT_LOG_WARN:  slog.LevelWarn,
	C.CHAT_LOG_INFO:  slog.LevelInfo,
	C.CHAT_LOG_DEBUG: slog.LevelDebug,
	C.CHAT_LOG_TRACE: LevelTrace,
}

// logs passes a server's lines from C to a logger. It does not refer to anything that keeps the
// server. Its goroutine ends when libchat has freed the server, after which no line follows.
type logs struct {
	queue   *C.chat_go_log
	logger  *slog.Logger
	flushed chan struct{} // Closed when the lines before the mark are logged, or reported as dropped.
}

// newLogs sets a config's log handler, for the levels that the logger has enabled at this moment.
// It returns nil if the logger has enabled none.
func newLogs(config *C.chat_config, logger *slog.Logger) (*logs, error) {
	level := len(levels) - 1
	for level > 0 && !logger.Enabled(context.Background(), levels[level]) {
		level--
	}
	if level == 0 {
		return nil, nil
	}
	l := &logs{queue: C.chat_go_log_new(), logger: logger, flushed: make(chan struct{})}
	if l.queue == nil {
		return nil, ErrResourceLimit
	}
	// From here on C closes the queue, even if the call below fails; the goroutine frees it.
	go l.pull()
	err := told(func() C.chat_status { return C.chat_go_log_set(config, C.uint32_t(level), l.queue) })
	if err != nil {
		return nil, err
	}
	return l, nil
}

// pull logs lines until the last one.
func (l *logs) pull() {
	defer C.chat_go_log_free(l.queue)
	for {
		var dropped C.uint64_t
		lines := C.chat_go_log_take(l.queue, &dropped)
		if lines == nil && dropped == 0 {
			return
		}
		flush := l.write(lines)
		if dropped > 0 {
			l.log(slog.LevelWarn, "log lines dropped: the logger does not take them in time", slog.Uint64("dropped", uint64(dropped)))
		}
		if flush {
			close(l.flushed)
		}
	}
}

// write logs lines, and returns whether the mark was among them.
func (l *logs) write(lines *C.chat_go_line) (flush bool) {
	defer C.chat_go_lines_free(lines)
	for line := lines; line != nil; line = line.next {
		if line.level == 0 {
			flush = true
		} else if int(line.level) < len(levels) {
			l.log(levels[line.level], text(C.chat_go_line_text(line), line.len))
		}
	}
	return flush
}

func (l *logs) log(level slog.Level, text string, attrs ...slog.Attr) {
	l.logger.LogAttrs(context.Background(), level, text, attrs...)
}

// flush waits until the lines up to now are logged, at most flushTime: the program may end after a
// stop. It may be called once, before the server is freed.
func (l *logs) flush() {
	C.chat_go_log_put(unsafe.Pointer(l.queue), 0, nil, 0)
	timer := time.NewTimer(flushTime)
	defer timer.Stop()
	select {
	case <-l.flushed:
	case <-timer.C:
	}
}
