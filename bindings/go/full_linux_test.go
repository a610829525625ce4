package chat_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	chat "libchat/bindings/go"
)

// Policies of the kernel's scheduler.
const schedOther, schedIdle = 0, 5

// worker finds the thread of a server's first worker, the newest of that name.
func worker(t *testing.T) int {
	t.Helper()
	names, err := filepath.Glob("/proc/self/task/*/comm")
	if err != nil {
		t.Fatal(err)
	}
	newest := 0
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil || strings.TrimSpace(string(text)) != "libchat-0" {
			continue
		}
		if id, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			newest = max(newest, id)
		}
	}
	if newest == 0 {
		t.Fatal("no worker")
	}
	return newest
}

// pin has a thread run on one processor, the first that this process may use.
func pin(thread int) error {
	var allowed [128]uint8
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_GETAFFINITY, uintptr(os.Getpid()),
		unsafe.Sizeof(allowed), uintptr(unsafe.Pointer(&allowed))); errno != 0 {
		return errno
	}
	var first [128]uint8
	for i, bits := range allowed {
		if bits != 0 {
			first[i] = bits & -bits
			break
		}
	}
	return call(syscall.SYS_SCHED_SETAFFINITY, thread, unsafe.Sizeof(first), unsafe.Pointer(&first))
}

// schedule sets a thread's policy.
func schedule(thread int, policy uintptr) error {
	var priority int32
	return call(syscall.SYS_SCHED_SETSCHEDULER, thread, policy, unsafe.Pointer(&priority))
}

func call(number uintptr, thread int, argument uintptr, pointer unsafe.Pointer) error {
	if _, _, errno := syscall.RawSyscall(number, uintptr(thread), argument, uintptr(pointer)); errno != 0 {
		return errno
	}
	return nil
}

// starve takes the processor from a thread, nearly all of it, until the function that it returns is called: the
// binding's log lines hold no shard up, and nothing else could.
func starve(t *testing.T, thread int) (release func()) {
	t.Helper()
	if err := errors.Join(pin(thread), schedule(thread, schedIdle)); err != nil {
		t.Skip("no thread can be starved here: ", err)
	}
	// Another process: of this one's threads, Go lets as few run as it may.
	busy := exec.Command("sh", "-c", "while :; do :; done")
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	release = sync.OnceFunc(func() {
		busy.Process.Kill()
		busy.Wait()
		schedule(thread, schedOther)
	})
	t.Cleanup(release)
	if err := pin(busy.Process.Pid); err != nil {
		t.Fatal(err)
	}
	return release
}

func TestACallBeyondTheBoundOfAnInboxWaitsPublishTimeoutAndDoesNothing(t *testing.T) {
	// A starved thread gets a moment now and then, in which it may empty its inbox.
	for range 20 {
		if isFullForEveryCall(t) {
			return
		}
	}
	t.Error("no try was in time")
}

// isFullForEveryCall returns whether every call met a full inbox and waited not much longer than it should.
func isFullForEveryCall(t *testing.T) bool {
	const timeout = 300 * time.Millisecond
	server := start(t, chat.Options{Workers: 1, PublishTimeout: timeout, EventQueue: 100})
	events := follow(t, server)
	p := connect(t, server, "/?echo=false")
	id := next[chat.EventConnected](t, events).Client
	release := starve(t, worker(t))
	defer release()
	filling := make([]chat.Message, 256)
	for i := range filling {
		filling[i] = chat.Message{Room: "lobby", Kind: chat.Text}
	}
	for full := time.Now().Add(patience); ; {
		if _, err := server.PublishBatch(filling); errors.Is(err, chat.ErrQueueFull) {
			break
		} else if err != nil || time.Now().After(full) {
			t.Fatal("it does not fill: ", err)
		}
	}
	before := server.Stats()
	batch := make([]chat.Message, 600)
	for i := range batch {
		batch[i] = chat.Message{Room: fmt.Sprint("new", i/300), Kind: chat.Text, Data: []byte("x")}
	}
	data := []byte("x")
	calls := map[string]func() error{
		"Publish": func() error {
			position, err := server.Publish("new0", chat.Text, data)
			if err != nil && !position.IsZero() {
				t.Errorf("a position, %v, and %v", position, err)
			}
			return err
		},
		"PublishBatch": func() error {
			published, err := server.PublishBatch(batch)
			if errors.Is(err, chat.ErrQueueFull) && len(published) != 0 {
				t.Errorf("%d published, and %v", len(published), err)
			}
			return err
		},
		"Broadcast":   func() error { return server.Broadcast(chat.Text, data) },
		"Send":        func() error { return server.Send(id, chat.Text, data) },
		"Join":        func() error { return server.Join(id, "new0") },
		"Leave":       func() error { return server.Leave(id, "lobby") },
		"SetEcho":     func() error { return server.SetEcho(id, true) },
		"SetIdentity": func() error { return server.SetIdentity(id, "ana") },
	}
	var full atomic.Int32
	var work []func() error
	for name, call := range calls {
		work = append(work, func() error {
			began := time.Now()
			err := call()
			took := time.Since(began)
			if errors.Is(err, chat.ErrQueueFull) {
				if took < timeout {
					return fmt.Errorf("%s took %v", name, took)
				}
				// Scheduling is not ours: another try may be in time.
				if took < timeout*3/2 {
					full.Add(1)
				}
				return nil
			}
			return err
		})
	}
	together(t, work...)
	if int(full.Load()) < len(calls) {
		return false
	}
	if after := server.Stats(); after.MessagesPublished != before.MessagesPublished || after.Rooms != before.Rooms {
		t.Errorf("%+v, and before %+v", after, before)
	}
	release()
	for range before.MessagesPublished {
		p.expect(t, "")
	}
	p.say(t, "nothing before this")
	said := next[chat.EventMessage](t, events)
	if said.Room != "lobby" || said.Position.Offset != uint64(before.MessagesPublished+1) || said.Identity != "" {
		t.Errorf("got %+v", said)
	}
	if position, err := server.Publish("new0", chat.Text, data); position.Offset != 1 || err != nil {
		t.Errorf("the position is %v, and %v", position, err)
	}
	if err := server.Send(id, chat.Text, []byte("end")); err != nil {
		t.Fatal(err)
	}
	p.expect(t, "end")
	return true
}
