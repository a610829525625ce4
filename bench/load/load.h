// The load generator's parts: wire.c (bytes), json.c, events.c and centrifuge.c (protocols on top), clients.c
// (connections), handshake.c (how they begin), window.c (messages in flight), aside.c (a small room), told.c (what
// watchers are told of members), traffic.c, hold.c, churn.c, beside.c, storm.c, join.c, back.c, follow.c and
// requests.c (what is measured), agreed.c (what the hosts in ../embed know too),
// process.c (what it costs the server), report.c (numbers to JSON).
//
// One thread and one epoll: it must be cheaper than any server, or it is the generator that is
// measured. Whatever is not as promised makes the figure void.
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// A message: publisher, sequence number and send time as letters, so that it is text everywhere.
#define STAMP_SIZE 32
// Marks a message that only asks whether everybody is in the room already.
#define PROBE 0x80000000u

// What a client speaks: bare messages, objects, or events (it then only listens). Of all clients also: every second
// one objects; a third each.
enum form { PLAIN, JSON, EVENTS, MIXED, FORMS };

struct options {
  const char *mode; // traffic, listen, accept, idle, churn, beside, storm, join, back, follow or requests
  pid_t pid;        // the server
  int port;
  int rooms, subscribers, publishers; // the last two for each room
  int stalled;                        // of the subscribers of room 0: they never read
  int window;                         // messages in flight for each publisher; requests: for each connection
  bool is_fair;                       // in flight until every subscriber has it, not only its publisher
  int size;                           // bytes of a message
  double rate;                        // messages a second for each publisher; 0: as fast as they come back
  double seconds;
  int messages; // listen: how many the host publishes for each publisher; storm: how many those that are cut miss
  double churn;             // beside: clients that come and go, a second
  double sends, disconnects; // beside: that the host is to make, a second
  int joins;                // follow, back: rooms of each client
  int bridges;              // follow: clients that are in every room
  int aside;                // follow: 1: a small room is timed meanwhile
  int batch;                // follow: messages after which the host waits for the generator; 0: it does not wait
  int cut;                  // storm, back: of the subscribers, that are cut at once
  int watchers;             // join: of the subscribers, that watch members; back: beside the subscribers
  double ramp;              // join: seconds in which the subscribers come
  int grace;                // back: milliseconds for which the host has a place kept
  bool has_members;         // back: the host has members kept
  enum form form;     // traffic, accept, idle and storm
  bool is_centrifuge; // speaks Centrifuge's protocol, in one channel
};

// --- wire.c

struct stamp {
  uint32_t publisher, sequence;
  uint64_t time_ns;
};

// Writes 32 bits as eight letters a..p, four bits each, the lowest first.
void wire_number(uint8_t *out, uint32_t value);
// Writes what a message says: its stamp, and padding.
void wire_payload(uint8_t *payload, const struct stamp *stamp, size_t size);
// Writes a masked text frame. Returns its length.
size_t wire_message(uint8_t *out, const struct stamp *stamp, size_t size);
// Writes a masked text frame of any text. Returns its length.
size_t wire_text(uint8_t *out, const uint8_t *text, size_t len);
// Writes a masked control frame, whose payload is at most 125 bytes. Returns its length.
size_t wire_control(uint8_t *out, uint8_t opcode, const uint8_t *payload, size_t len);
// Reads the head of a server's frame. Returns its length, 0 if it is not whole, -1 if it breaks the
// protocol.
int wire_head(const uint8_t *in, size_t available, uint8_t *first, size_t *payload);
struct stamp wire_stamp(const uint8_t *payload);

// --- json.c

// As wire_message, in an object.
size_t json_message(uint8_t *out, const struct stamp *stamp, size_t size);
#define JSON_OVERHEAD 16

// --- centrifuge.c

// What a client says first.
size_t centrifuge_hello(uint8_t *out);
// As wire_message.
size_t centrifuge_message(uint8_t *out, const struct stamp *stamp, size_t size);
#define CENTRIFUGE_OVERHEAD 80
// The most that a protocol adds to a message.
#define OVERHEAD CENTRIFUGE_OVERHEAD

// --- agreed.c

// Who publishes what a host and the generator exchange: the number of a room, or one of these.
#define SENT 0x20000000u  // to one client
#define ALL 0x20000001u   // to all of them
#define ASIDE 0x20000002u // the client of the small room
// With these flags a message only says that the sequence of its publisher begins, or that it has ended.
#define BEGINS PROBE
#define ENDS 0x40000000u
// The code with which a host disconnects a client that is to come back.
#define COME_BACK 4000
// A message that asks a host what it has been told. The answer is SENT: how many have left is its sequence number.
#define ASKED 0x20000003u
// What else is in the answer's time: how many are connected, and how many have entered.
#define ANSWER(connected, entered) ((uint64_t)(entered) << 32 | (uint32_t)(connected))

struct layout {
  int clients, rooms;
  int joins;   // how many rooms each client is in
  int bridges; // the first so many clients are in every room
};

// The room that a client connects to; the host puts it into the others.
int layout_first(const struct layout *layout, int client);
bool layout_has(const struct layout *layout, int client, int room);

// --- process.c

struct usage {
  uint64_t cpu_ns;  // of all threads
  uint64_t wait_ns; // that they waited for a core: what others on the machine took from them
  uint64_t user_ns, system_ns;
  uint64_t rss, peak; // bytes
};

struct usage usage_of(pid_t pid);
// As usage_of, with the processor time of only those threads whose names begin so.
struct usage usage_of_threads(pid_t pid, const char *prefix);
// Begins to note the peak anew. Tells whether that is possible.
bool reset_peak(pid_t pid);
uint64_t now_ns(void);

// --- report.c

#define BUCKETS 8192

struct histogram {
  uint64_t count, max, bucket[BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t ns);
double histogram_percentile(const struct histogram *histogram, double part); // in microseconds

struct report {
  uint64_t messages, deliveries, connections, reads;
  uint64_t frame_bytes; // of messages, their heads included
  double seconds, connect_seconds;
  struct usage start, connected, begin, end; // before connecting, after it; before and after the load
  struct usage self_begin, self_end;
  struct histogram latency;
  int closed, stalled_closed;
  int passed; // clients that came and went, or were disconnected by the host and came back
  int storms;
  double whole_ms;     // until the last client had all: of the slowest storm
  double quiet_p99_us; // of the small room, before the storms
  double joined_ms;    // until the last client was in the room
  uint64_t told_bytes; // of members, and in how many objects: to the watcher that got most
  uint32_t told_objects;
  char void_because[256]; // empty: the figure counts
};

// Makes the figure void; the first reason stays.
void report_void(struct report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));
void report_print(const struct report *report, const struct options *options);

// --- clients.c

enum phase { UPGRADING, OPEN, STALLED, CLOSING, GONE };

struct client {
  int fd;
  enum phase phase;
  enum form form; // PLAIN, JSON or EVENTS
  int room;
  int publisher; // its number in the room; -1: it only listens
  int in_flight; // own messages that have not come back
  int arrived;   // those that came back in the bytes at hand
  struct window *window; // of a publisher that waits for the slowest subscriber
  uint32_t next; // the sequence number of its next message
  uint32_t probes;
  uint32_t tail_len; // half a frame, kept until the rest comes
  uint32_t out_len;  // what the socket did not take
  uint8_t *tail, *out;
  uint32_t *expected; // the next sequence number of each of the room's publishers
  uint64_t order;     // a hash of all that came, in order: the same for all of a room
};

struct clients {
  const struct options *options;
  struct report *report;
  int epoll;
  // Never sleeps. A server that writes to a sleeping process has to wake it, which costs as much as
  // the write, and how often depends on chance; clients on other machines cost it nothing.
  bool is_spinning;
  int count, upgraded;
  int welcomed; // that the server speaks the JSON form to
  int streams;  // to which it sends events
  struct client *all;
  // Called between reading some clients and the next.
  void (*on_pause)(struct clients *);
  // A close frame with this code is expected, and answered; 0: none is.
  int closing_code;
  // Writes the path that a client asks for; NULL: the room's, or /.
  void (*path)(const struct clients *, const struct client *, char *out, size_t size);
  // Returns the id with which a client of the events form comes back; empty: it has none. NULL: none has.
  const char *(*last_id)(const struct clients *, const struct client *);
  // Called for each message, and when all bytes that came with it are read.
  void (*on_message)(struct clients *, struct client *, const uint8_t *payload, size_t len, uint64_t now);
  void (*on_read)(struct clients *, struct client *);
  // Called for each position of an object or an event, before its message; may be NULL.
  void (*on_position)(struct clients *, struct client *, const uint8_t *text, size_t len);
  void (*on_gone)(struct clients *, struct client *);
  // Called with the position at which a client of the JSON form enters a room; may be NULL.
  void (*on_entered)(struct clients *, struct client *, const uint8_t *text, size_t len);
  // Called for each object that tells of members; NULL: nobody asks for them.
  void (*on_members)(struct clients *, struct client *, const uint8_t *text, size_t len, uint64_t now);
};

bool clients_init(struct clients *clients, int count);
// Connects all clients, a bounded number at a time.
bool clients_connect(struct clients *clients);
// Checks that the server speaks each form to as many clients as asked for it.
void clients_check_form(struct clients *clients);
// Starts one connection, and sends the upgrade request.
bool client_start(struct clients *clients, struct client *client);
// Handles what comes until `deadline`, or for one turn if something came earlier.
void clients_turn(struct clients *clients, uint64_t deadline);
// Reads what has come, if something has.
void client_read(struct clients *clients, struct client *client);
void client_send(struct clients *clients, struct client *client, const uint8_t *bytes, size_t len);
// Sends a close frame: the server is to answer it and to end the stream.
void client_leave(struct clients *clients, struct client *client);
void client_close(struct clients *clients, struct client *client);
// Takes an object (json.c).
void json_frame(struct clients *clients, struct client *client, const uint8_t *text, size_t len, uint64_t now);
// Takes whole events. Returns how many bytes they were (events.c).
size_t events_take(struct clients *clients, struct client *client, const uint8_t *bytes, size_t len, uint64_t now);
// Takes what a frame of Centrifuge's holds (centrifuge.c).
void centrifuge_frame(struct clients *clients, struct client *client, const uint8_t *text, size_t len, uint64_t now);
bool is_void(const struct clients *clients);

// --- handshake.c

// Writes what a client asks for. Returns its length.
size_t handshake_request(const struct clients *clients, const struct client *client, char *out, size_t size);
// Takes the head of the answer. Returns its length, 0 if it is not whole or not as promised.
size_t handshake_answer(struct clients *clients, const struct client *client, const uint8_t *bytes, size_t len);

// --- window.c

// A publisher's messages in flight, and how many subscribers have received each of them.
struct window;

struct window *window_new(int size, int readers);
// Counts a message that a subscriber has received. Tells whether it was the last to receive it.
bool window_received(struct window *window, uint32_t sequence);

// --- aside.c

// Makes the client of a small room send: every half millisecond, if its last message is back. May be called again
// after aside_stop.
void aside_start(struct clients *clients, struct client *client);
// Times a message of the small room's client.
void aside_message(struct clients *clients, const struct stamp *stamp, uint64_t now);
// Ends it with the message that is in flight.
void aside_stop(void);
bool aside_is_over(void);

// --- told.c

// Of more members than these watchers are told the count alone, once a second.
#define MOST_LISTED 200

struct told {
  uint64_t bytes; // their heads included
  uint32_t objects;
  uint32_t returned; // members that were told to have come back
  int count;         // that the last one says
  uint64_t time_ns;  // when it came
  bool has_list, has_joined, has_left; // of the last one
};

// Adds an object that tells of members to what a watcher was told.
void told_add(struct clients *clients, struct told *told, const uint8_t *text, size_t len, uint64_t now);
// Notes in the report what the watcher that got most was told.
void told_report(struct report *report, const struct told *told, int watchers);

// --- what is measured

void run_traffic(const struct options *options, struct report *report);
// Only checks what the host of the server publishes.
void run_listen(const struct options *options, struct report *report);
void run_idle(const struct options *options, struct report *report);
void run_churn(const struct options *options, struct report *report);
// Times a small room beside a large one.
void run_beside(const struct options *options, struct report *report);
// Cuts clients of a room at once, publishes, lets them come back at once, and times a small room meanwhile.
void run_storm(const struct options *options, struct report *report);
// Has clients come to a room at an even pace, while messages pass and some watch its members.
void run_join(const struct options *options, struct report *report);
// Cuts clients with identities at once, and lets them come back at once: nobody may be told that they have left.
void run_back(const struct options *options, struct report *report);
// Checks what the host publishes, broadcasts and sends to clients in several rooms, until it says that it is done.
void run_follow(const struct options *options, struct report *report);
// Asks for a page on connections that are kept.
void run_requests(const struct options *options, struct report *report);
// The most that a connection has in flight.
#define MOST_REQUESTS 64

#endif
