package callback

/*
#cgo CFLAGS: -I${SRCDIR}/../../../../include
#include <libchat.h>

// Go gets the user data as a number: Go's stack must not hold a pointer that is not one.
void goEvents(uintptr_t handle, void *events, size_t count);
void goDrop(uintptr_t handle);

static void on_events(void *user_data, const chat_event *const *events, size_t count) {
  goEvents((uintptr_t)user_data, (void *)events, count);
}

static void on_drop(void *user_data) { goDrop((uintptr_t)user_data); }

static chat_status set_handler(chat_config *config, uintptr_t handle) {
  return chat_config_set_event_handler(config, on_events, (void *)handle, on_drop);
}
*/
import "C"

import (
	"fmt"
	"runtime/cgo"
	"unsafe"

	_ "libchat/bindings/go" // For its link flags.
)

// Host has a server and its handler. Its functions run on the server's handler thread, one call at a
// time.
type Host struct {
	Event   func(Event) // May panic.
	Dropped func()
	server  *C.chat_server
	panics  int
}

// Event has the fields of an event that the tests use.
type Event struct {
	Type   uint32
	Client uint64
	Data   string
}

// The event types that the tests wait for.
const (
	Connected    = C.CHAT_EVENT_CONNECTED
	Message      = C.CHAT_EVENT_MESSAGE
	Disconnected = C.CHAT_EVENT_DISCONNECTED
	Stopped      = C.CHAT_EVENT_STOPPED
)

// Start starts a server on a free port, with the host's functions as its handler, and returns the
// server's address.
func (h *Host) Start() (string, error) {
	config := C.chat_config_new(C.CHAT_ABI_VERSION)
	defer C.chat_config_free(config)
	address := []byte("127.0.0.1:0")
	if status := C.chat_config_add_listen(config, (*C.char)(unsafe.Pointer(&address[0])), C.size_t(len(address))); status != C.CHAT_OK {
		return "", failure("add_listen", status)
	}
	// A number stands for the Go pointer, which C must not keep. The drop function deletes it.
	if status := C.set_handler(config, C.uintptr_t(cgo.NewHandle(h))); status != C.CHAT_OK {
		return "", failure("set_event_handler", status)
	}
	if status := C.chat_server_start(config, &h.server, nil); status != C.CHAT_OK {
		return "", failure("start", status)
	}
	var buf [C.CHAT_ADDR_SIZE]C.char
	if status := C.chat_server_local_addr(h.server, 0, &buf[0], C.CHAT_ADDR_SIZE, nil); status != C.CHAT_OK {
		return "", failure("local_addr", status)
	}
	return C.GoString(&buf[0]), nil
}

// Send sends text to a client, also from within Event.
func (h *Host) Send(client uint64, text string) error {
	data := (*C.uint8_t)(unsafe.StringData(text))
	status := C.chat_server_send(h.server, C.chat_client_id(client), C.CHAT_TEXT, data, C.size_t(len(text)))
	return failure("send", status)
}

// RequestStop begins to stop, also from within Event.
func (h *Host) RequestStop() error {
	return failure("request_stop", C.chat_server_request_stop(h.server))
}

// Stop stops the server, and returns how many panics were caught.
func (h *Host) Stop() (panics int, err error) {
	err = failure("stop", C.chat_server_stop(h.server, 10_000))
	C.chat_server_free(h.server)
	return h.panics, err
}

func failure(what string, status C.chat_status) error {
	if status == C.CHAT_OK {
		return nil
	}
	return fmt.Errorf("%s: %s", what, C.GoString(C.chat_status_name(C.int32_t(status))))
}
