package chat_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	chat "libchat/bindings/go"
)

func TestWaitEndsWithTheServerWhoeverStopsIt(t *testing.T) {
	for name, stop := range map[string]func(*chat.Server) error{
		"Shutdown":    func(s *chat.Server) error { return s.Shutdown(context.Background()) },
		"Close":       (*chat.Server).Close,
		"RequestStop": func(s *chat.Server) error { s.RequestStop(); return nil },
	} {
		server := start(t, chat.Options{})
		waited := make(chan error, 3)
		for range cap(waited) {
			go func() { waited <- server.Wait(t.Context()) }()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if err := server.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(name, "a wait whose context is done:", err)
		}
		cancel()
		if err := stop(server); err != nil {
			t.Fatal(name, err)
		}
		for range cap(waited) {
			if err := receive(t, waited); err != nil {
				t.Error(name, err)
			}
		}
		if err := server.Wait(t.Context()); err != nil {
			t.Error(name, "after the end:", err)
		}
		if err := server.Close(); err != nil {
			t.Error(name, err)
		}
		if err := server.Wait(t.Context()); err != nil {
			t.Error(name, "after the close:", err)
		}
	}
}

func TestPagesThatWereAnsweredAreCounted(t *testing.T) {
	server := start(t, chat.Options{})
	response, err := http.Get("http://" + server.Addr().String() + "/health")
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response, err)
	}
	response.Body.Close()
	if stats := server.Stats(); stats.RequestsAnswered != 1 || stats.ConnectionsRefused != 0 {
		t.Errorf("%+v", stats)
	}
}

// The library's epoll_wait fails once the file LIBCHAT_BREAKS exists.
const breaking = `
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout) {
  if (access(getenv("LIBCHAT_BREAKS"), F_OK) == 0) return errno = EBADF, -1;
  return (int)syscall(SYS_epoll_pwait, epoll, events, most, timeout, NULL, 8);
}
`

func TestAServerThatEndsByItselfSaysSo(t *testing.T) {
	if file := os.Getenv("LIBCHAT_BREAKS"); file != "" {
		endByItself(t, file)
		return
	}
	folder := t.TempDir()
	source, library := filepath.Join(folder, "breaking.c"), filepath.Join(folder, "breaking.so")
	if err := os.WriteFile(source, []byte(breaking), 0o600); err != nil {
		t.Fatal(err)
	}
	cc := exec.CommandContext(t.Context(), "cc", "-shared", "-fPIC", "-o", library, source)
	if output, err := cc.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	// This program again, for this test alone.
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	again.Env = append(os.Environ(), "LD_PRELOAD="+library, "LIBCHAT_BREAKS="+filepath.Join(folder, "breaks"))
	if output, err := again.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
}

func endByItself(t *testing.T, file string) {
	server, err := chat.Start(chat.Options{Listen: []string{"127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	// A broadcast to it wakes its thread from the last epoll_wait that works.
	if _, err := dial(server, "/", "", nil); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- server.Wait(t.Context()) }()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := server.Broadcast(chat.Text, nil); err != nil && !errors.Is(err, chat.ErrStopped) {
		t.Fatal(err)
	}
	check(t, "wait", receive(t, waited), chat.ErrFailed)
	check(t, "shutdown", server.Shutdown(t.Context()), chat.ErrFailed)
	check(t, "wait after the shutdown", server.Wait(t.Context()), chat.ErrFailed)
	if err := server.Close(); err != nil {
		t.Error("close after the shutdown:", err)
	}
}
