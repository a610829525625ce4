//go:build linux && !asan

// AddressSanitizer wants to be loaded before all else, and so does what breaks epoll_wait.

package chat_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	chat "libchat/bindings/go"
)

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
	err = receive(t, waited)
	check(t, "wait", err, chat.ErrFailed)
	if !strings.Contains(err.Error(), ": its event loop failed: Bad file descriptor") {
		t.Errorf("%v does not say what failed", err)
	}
	check(t, "shutdown", server.Shutdown(t.Context()), chat.ErrFailed)
	check(t, "wait after the shutdown", server.Wait(t.Context()), chat.ErrFailed)
	if err := server.Close(); err != nil {
		t.Error("close after the shutdown:", err)
	}
}
