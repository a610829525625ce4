/* A handler's state, and waiting for what it has seen. */
#ifndef HANDLER_H
#define HANDLER_H

#include "ws.h"

#include <pthread.h>

typedef struct state {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  chat_server *server; /* where start writes it */
  int connected, messages, disconnected, stopped, dropped;
  int after_free; /* calls after the server was freed */
} state;

#define STATE {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}

static inline void add(state *state, int *counter) {
  pthread_mutex_lock(&state->lock);
  ++*counter;
  pthread_cond_broadcast(&state->changed);
  pthread_mutex_unlock(&state->lock);
}

static inline void await(state *state, const int *counter, int count) {
  pthread_mutex_lock(&state->lock);
  while (*counter < count) pthread_cond_wait(&state->changed, &state->lock);
  pthread_mutex_unlock(&state->lock);
}

static inline int count(state *state, const int *counter) {
  pthread_mutex_lock(&state->lock);
  int count = *counter;
  pthread_mutex_unlock(&state->lock);
  return count;
}

static inline void count_drop(void *user_data) {
  state *state = user_data;
  add(state, &state->dropped);
}

/* Counts events by their type. */
static inline void count_event(state *state, const chat_event *event) {
  switch (event->type) {
    case CHAT_EVENT_CONNECTED: add(state, &state->connected); break;
    case CHAT_EVENT_MESSAGE: add(state, &state->messages); break;
    case CHAT_EVENT_DISCONNECTED: add(state, &state->disconnected); break;
    case CHAT_EVENT_STOPPED: add(state, &state->stopped); break;
    default: break;
  }
}

static inline void count_events(void *user_data, const chat_event *const *events, size_t count) {
  for (size_t i = 0; i < count; i++) count_event(user_data, events[i]);
}

/* Starts a server with a handler; the server is in the state before the handler runs. */
static inline void start_with_handler(state *state, chat_event_fn handler) {
  chat_config *config = local_config();
  CHECK_OK(chat_config_set_event_handler(config, handler, state, count_drop));
  CHECK_OK(chat_server_start(config, &state->server, NULL));
  chat_config_free(config);
}

#endif
