package callback

/*
#include <libchat.h>
*/
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

//export goEvents
func goEvents(handle C.uintptr_t, events unsafe.Pointer, count C.size_t) {
	host := cgo.Handle(handle).Value().(*Host)
	for _, event := range unsafe.Slice((**C.chat_event)(events), int(count)) {
		host.handle(Event{
			Type:   uint32(event._type),
			Client: uint64(event.client),
			Data:   string(unsafe.Slice((*byte)(unsafe.Pointer(event.data)), int(event.data_len))),
		})
	}
}

//export goDrop
func goDrop(handle C.uintptr_t) {
	cgo.Handle(handle).Value().(*Host).Dropped()
	cgo.Handle(handle).Delete()
}

// handle calls the host. A panic ends here: it must not unwind C's frames.
func (h *Host) handle(event Event) {
	defer func() {
		if recover() != nil {
			h.panics++
		}
	}()
	h.Event(event)
}
