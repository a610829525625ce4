// What the hosts that the benchmark embeds libchat in have in common: a server whose clients have numbers.
#ifndef HOST_H
#define HOST_H

#include "../load/load.h"
#include <libchat.h>

#include <pthread.h>

struct host {
  chat_server *server;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int capacity;
  int connected;       // clients with a number
  chat_client_id *ids; // by number; 0: not connected
  uint64_t messages;   // that clients published
};

// The value of "--NAME VALUE" among the arguments. Without one, number ends the program and text is `otherwise`.
double host_number(int argc, char **argv, const char *name);
const char *host_text(int argc, char **argv, const char *name, const char *otherwise);
// Makes the configuration of a server with --workers.
chat_config *host_config(int argc, char **argv);
// Starts a server, frees its configuration, and prints where it listens.
void host_serve(chat_config *config, chat_server **server);
// Starts a server with --workers for --subscribers (and --aside) clients, each of which connects with
// "?client=NUMBER", and prints where it listens.
void host_start(struct host *host, int argc, char **argv);
// Waits until all of them are connected, or none; ends the program if that takes longer than a minute.
void host_await_all(struct host *host);
void host_await_none(struct host *host);
// Waits until clients have published so many messages; ends the program if that takes longer than a minute.
void host_await_messages(struct host *host, uint64_t count);
// The client with a number; 0 if it is not connected.
chat_client_id host_client(struct host *host, int number);
// Ends the program if a call failed.
void host_check(chat_status status, const char *call);
void host_sleep_until(uint64_t time_ns);
// Waits until the clients have left, and stops the server.
void host_end(struct host *host);

#endif
