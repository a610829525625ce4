package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
)

var builds string // folder of the client's executable

func TestMain(m *testing.M) {
	var err error
	if builds, err = os.MkdirTemp("", "go-client-"); err != nil {
		panic(err)
	}
	status := m.Run()
	_ = os.RemoveAll(builds)
	os.Exit(status)
}

// clientBinary builds the client once, with the race detector if the tests have it.
var clientBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(builds, "go-client")
	args := []string{"build", "-o", path}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "-race" && setting.Value == "true" {
				args = append(args, "-race")
			}
		}
	}
	out, err := exec.Command("go", append(args, ".")...).CombinedOutput()
	if err != nil {
		return "", errors.New(err.Error() + "\n" + string(out))
	}
	return path, nil
})

func clientCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := clientBinary()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path, args...)
	// Otherwise the race detector sleeps for a second at each exit.
	command.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	return command
}

// startProcess runs the client as a process of its own, with pipes for its streams.
func startProcess(t *testing.T, args ...string) *client {
	t.Helper()
	command := clientCommand(t, args...)
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c := &client{stdin: stdin, stdout: newOutput(), stderr: newOutput()}
	command.Stdout, command.Stderr = c.stdout, c.stderr
	start(t, command, c)
	return c
}

// start starts the command as the client, which dies with the test at the latest.
func start(t *testing.T, command *exec.Cmd, c *client) {
	t.Helper()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	c.exited = make(chan int, 1)
	c.signal = func(s os.Signal) { _ = command.Process.Signal(s) }
	gone := make(chan struct{})
	go func() {
		_ = command.Wait()
		c.exited <- command.ProcessState.ExitCode()
		close(gone)
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-gone
	})
}

// serverBinary is the chat server that LIBCHAT_SERVER names, or else a fresh build.
var serverBinary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("LIBCHAT_SERVER"); path != "" {
		return path, nil
	}
	build := exec.Command("cargo", "build", "--bin", "chat-server", "--message-format=json")
	build.Dir = ".."
	var stderr bytes.Buffer
	build.Stderr = &stderr
	out, err := build.Output()
	if err != nil {
		return "", errors.New("cargo build: " + err.Error() + "\n" + stderr.String())
	}
	for line := range bytes.Lines(out) {
		var artifact struct {
			Executable string
			Target     struct{ Name string }
		}
		err := json.Unmarshal(line, &artifact)
		if err == nil && artifact.Executable != "" && artifact.Target.Name == "chat-server" {
			return artifact.Executable, nil
		}
	}
	return "", errors.New("cargo build names no executable chat-server")
})

// server is a running chat server.
type server struct {
	url    string // with a slash at its end
	stderr *output
	stop   func()
	exited chan int
}

// startServer runs the real server, and returns when it says where it listens.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	path, err := serverBinary()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path, args...)
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c := &client{stderr: newOutput()}
	command.Stderr = c.stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	s := &server{stderr: c.stderr, exited: make(chan int, 1)}
	s.stop = func() { _ = command.Process.Signal(syscall.SIGTERM) }
	listens, gone := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(gone)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			for word := range strings.FieldsSeq(lines.Text()) {
				if strings.HasPrefix(word, "ws://") && len(listens) == 0 {
					listens <- word
				}
			}
		}
		close(listens)
		_ = command.Wait()
		s.exited <- command.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-gone
	})
	if s.url = receive(t, listens); s.url == "" {
		t.Fatalf("the server ended without listening:\n%s", s.stderr)
	}
	return s
}
