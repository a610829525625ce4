package main

import (
	"fmt"
	"strings"
	"testing"
)

// join starts a client process and waits until its own hello came back to it.
func (s *server) join(t *testing.T, id string, args ...string) *client {
	t.Helper()
	c := startProcess(t, append([]string{"-id=" + id, "-url=" + s.url}, args...)...)
	c.say(t, "hello")
	c.stdout.await(t, "["+id+"] hello\n")
	return c
}

// The paper's sequence: two clients, what the first sends reaches both, each closes, the server
// stays.
func TestPaperSequenceWithTwoClients(t *testing.T) {
	s := startServer(t, "--listen", "127.0.0.1:0")
	client1 := s.join(t, "client1")
	client2 := s.join(t, "client2", "-ip=127.0.0.3")
	client1.stdout.await(t, "[client2] hello\n")

	client1.say(t, "salut")
	client1.stdout.await(t, "[client1] salut\n")
	client2.stdout.await(t, "[client1] salut\n")
	client2.say(t, "bună")
	client1.stdout.await(t, "[client2] bună\n")
	client2.stdout.await(t, "[client2] bună\n")

	client1.interrupt()
	client1.expectExit(t, exitOK)
	client2.pipe(t, "singur\n")
	client2.expectExit(t, exitOK)
	client1.expectOutput(t, "[client1] hello\n[client2] hello\n[client1] salut\n[client2] bună\n")
	client2.expectOutput(t, "[client2] hello\n[client1] salut\n[client2] bună\n[client2] singur\n")
	for _, c := range []*client{client1, client2} {
		if text := c.stderr.String(); text != "" {
			t.Fatalf("standard error:\n%s", text)
		}
	}

	s.stop()
	expect(t, s.exited, 0)
}

func TestPipedInputWorksWithTheServer(t *testing.T) {
	s := startServer(t, "--listen", "127.0.0.1:0")
	var input, want strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&input, "%d\n", i)
		fmt.Fprintf(&want, "[x] %d\n", i)
	}
	c := startProcess(t, "-id=x", "-url="+s.url)
	c.pipe(t, input.String())
	c.expectExit(t, exitOK)
	c.expectOutput(t, want.String())
}

// The largest message is as large as the server's default bound.
func TestLongestLinePassesTheServer(t *testing.T) {
	s := startServer(t, "--listen", "127.0.0.1:0")
	longest := strings.Repeat("y", maxMessage-len("[x] "))
	c := startProcess(t, "-id=x", "-url="+s.url)
	c.pipe(t, longest+"\n"+longest+"z\nb\n")
	c.expectExit(t, exitFailed)
	c.expectOutput(t, "[x] "+longest+"\n[x] b\n")
	c.expectOneErrorLine(t, "line 2 is longer than 1048572 bytes: not sent")
}

func TestWithEchoFalseOnlyTheOthersGetTheLines(t *testing.T) {
	s := startServer(t, "--listen", "127.0.0.1:0")
	other := s.join(t, "other")
	c := startProcess(t, "-id=x", "-url="+s.url+"?echo=false")
	c.pipe(t, strings.Repeat("a\n", 1_000)+"last\n")
	c.expectExit(t, exitOK)
	c.expectOutput(t, "")
	other.stdout.await(t, "[x] last\n")
	other.expectOutput(t, "[other] hello\n"+strings.Repeat("[x] a\n", 1_000)+"[x] last\n")
}

func TestHistoryComesFirstAndIsNotTakenForTheEcho(t *testing.T) {
	s := startServer(t, "--listen", "127.0.0.1:0")
	for range 3 {
		c := startProcess(t, "-id=x", "-url="+s.url)
		c.pipe(t, "a\n")
		c.expectExit(t, exitOK)
	}
	c := startProcess(t, "-id=x", "-url="+s.url+"?history=2")
	c.pipe(t, "a\n")
	c.expectExit(t, exitOK)
	c.expectOutput(t, strings.Repeat("[x] a\n", 3))
}

func TestRoomsAreApartWhateverTheirNames(t *testing.T) {
	s := startServer(t, "--listen", "127.0.0.1:0")
	names := []string{"", "-room=tea", "-room=a/b?c#d%25 ț", "-room=a/b"}
	var clients []*client
	for i, name := range names {
		args := []string{}
		if name != "" {
			args = append(args, name)
		}
		clients = append(clients, s.join(t, fmt.Sprint(i), args...))
	}
	twin := s.join(t, "twin", names[2])
	clients[2].stdout.await(t, "[twin] hello\n")
	twin.pipe(t, "")
	for i, c := range clients {
		c.pipe(t, "bye\n")
		c.expectExit(t, exitOK)
		want := fmt.Sprintf("[%d] hello\n[%d] bye\n", i, i)
		if i == 2 {
			want = "[2] hello\n[twin] hello\n[2] bye\n"
		}
		c.expectOutput(t, want)
	}
}

func TestClientComesBackWhenTheServerIsRestarted(t *testing.T) {
	s := startServer(t, "--listen", "127.0.0.1:0")
	c := s.join(t, "x")
	s.stop()
	expect(t, s.exited, 0)
	c.stderr.await(t, "go-client: the server is stopping")
	c.stderr.await(t, "attempt 1 to connect again in ")
	address := strings.TrimSuffix(strings.TrimPrefix(s.url, "ws://"), "/")
	startServer(t, "--listen", address)
	c.stderr.await(t, "go-client: connected again\n")
	c.say(t, "again")
	c.stdout.await(t, "[x] again\n")
	c.interrupt()
	c.expectExit(t, exitOK)
}

func TestClientWithoutAServerExits1WithOneLine(t *testing.T) {
	s := startServer(t, "--listen", "127.0.0.1:0")
	s.stop()
	expect(t, s.exited, 0)
	c := startProcess(t, "-id=x", "-url="+s.url)
	c.expectExit(t, exitFailed)
	c.expectOneErrorLine(t, "is the server running? start it with: cargo run --release")
}

func TestClientOfAnUnknownPathIsToldTheServersAnswer(t *testing.T) {
	s := startServer(t, "--listen", "127.0.0.1:0")
	c := startProcess(t, "-id=x", "-url="+s.url+"nowhere")
	c.expectExit(t, exitFailed)
	c.expectOneErrorLine(t, "the server answered 404 Not Found")
}

func TestClientWithoutIDExits1WithTheUsage(t *testing.T) {
	c := startProcess(t)
	c.expectExit(t, exitFailed)
	if c.stderr.String() != usage {
		t.Fatalf("standard error:\n%s", c.stderr)
	}
}
