package main

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestSignalsLeaveWithACleanClose(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		h := startHub(t)
		c := startClient(t, quick(), "-id=x", h.url("/"))
		c.say(t, "a")
		c.stdout.await(t, "[x] a\n")
		c.signal(signal)
		c.expectExit(t, exitOK)
		expect(t, h.closes, websocket.CloseNormalClosure)
	}
}

func TestUnansweredCloseIsReported(t *testing.T) {
	h := startHub(t)
	h.deaf.Store(true)
	timing := quick()
	timing.closing = 50 * time.Millisecond
	c := startClient(t, timing, "-id=x", h.url("/?echo=false"))
	c.pipe(t, "a\n")
	c.expectExit(t, exitFailed)
	c.stderr.await(t, "the server did not answer the close within 50ms\n")
	c.stderr.await(t, "1 line may not have been delivered and will not be sent again\n")
}

func TestSignalAfterTheCloseDoesNotWaitForTheServers(t *testing.T) {
	h := startHub(t)
	h.deaf.Store(true)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	receive(t, h.joined)
	h.broadcast("there")
	c.stdout.await(t, "there\n")
	c.interrupt()
	c.interrupt()
	c.expectExit(t, exitFailed)
	c.expectOneErrorLine(t, "left without waiting for the server's close")
}

// The client cannot even take its first leave while nobody reads its output.
func TestSecondSignalKillsAClientThatIsStuck(t *testing.T) {
	h := startHub(t)
	command := clientCommand(t, "-id=x", h.url("/"))
	unread, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer unread.Close()
	defer stdout.Close()
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c := &client{stdin: stdin}
	command.Stdout = stdout
	start(t, command, c)
	receive(t, h.joined)
	h.broadcast(strings.Repeat("much", maxMessage/4))
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	timeout := time.After(patience)
	for {
		select {
		case <-again.C:
			c.interrupt()
		case status := <-c.exited:
			if status != -1 {
				t.Fatalf("exit status %d, want a death by signal", status)
			}
			return
		case <-timeout:
			t.Fatal("the client cannot be ended")
		}
	}
}

func TestSignalWhileDisconnectedEndsAtOnce(t *testing.T) {
	h := startHub(t)
	timing := quick()
	timing.backoffMin, timing.backoffMax = time.Hour, time.Hour
	c := startClient(t, timing, "-id=x", h.url("/"))
	receive(t, h.joined)
	h.closeAll(websocket.CloseGoingAway, "")
	c.stderr.await(t, "attempt 1 to connect again in ")
	c.interrupt()
	c.expectExit(t, exitOK)
}

func TestMissingIDPrintsTheUsage(t *testing.T) {
	c := startClient(t, quick())
	c.expectExit(t, exitFailed)
	if got := c.stderr.String(); got != usage {
		t.Fatalf("standard error is not the usage:\n%s", got)
	}
}

func TestHelpGoesToStandardOutput(t *testing.T) {
	c := startClient(t, quick(), "-help")
	c.expectExit(t, exitOK)
	c.expectOutput(t, usage)
}

func TestBadFlagsGetOneLine(t *testing.T) {
	for flag, want := range map[string]string{
		"-ip=here":                            `-ip="here": not an IP address`,
		"-url=http://127.0.0.1/":              "must begin with ws:// or wss://",
		"-url=ws://":                          "has no host",
		"-url=ws://me@host/":                  "must not hold a user name",
		"-url=ws://%zz/":                      `invalid URL escape "%zz"`,
		"-colour=red":                         "not defined: -colour",
		"-reconnect=maybe":                    `invalid boolean value "maybe"`,
		"false":                               `unexpected argument "false"`,
		"-room=a\nb":                          "has a control character",
		"-room=" + strings.Repeat("r", 129):   "longer than 128 bytes",
		"-id=" + strings.Repeat("i", 129):     "longer than 128 bytes",
		"-id=\xff":                            "not valid UTF-8",
		"-url=ws://127.0.0.1/chat -room=room": "-url has a path of its own (/chat)",
	} {
		c := startClient(t, quick(), append([]string{"-id=x"}, strings.Split(flag, " ")...)...)
		c.expectExit(t, exitUsage)
		c.expectOneErrorLine(t, want)
	}
}

func TestMissingServerGetsOneLineAndStatus1(t *testing.T) {
	h := startHub(t)
	h.Close()
	c := startClient(t, quick(), "-id=x", h.url("/"))
	c.expectExit(t, exitFailed)
	c.expectOneErrorLine(t, "connection refused; is the server running? start it with: cargo run --release")
}

func TestAnswerThatIsNoUpgradeIsExplained(t *testing.T) {
	h := startHub(t)
	h.refuses.Store(true)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	c.expectExit(t, exitFailed)
	c.expectOneErrorLine(t, "the server answered 503 Service Unavailable: full")
}

func TestServerThatDoesNotAnswerGetsOneLine(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	timing := quick()
	timing.handshake = 50 * time.Millisecond
	c := startClient(t, timing, "-id=x", "-url=ws://"+silent.Addr().String())
	c.expectExit(t, exitFailed)
	c.expectOneErrorLine(t, "no answer within 50ms; is the server running?")
}

func TestForeignLocalAddressGetsOneLine(t *testing.T) {
	h := startHub(t)
	// TEST-NET-1: no machine's own.
	c := startClient(t, quick(), "-id=x", "-ip=192.0.2.1", h.url("/"))
	c.expectExit(t, exitFailed)
	c.expectOneErrorLine(t, "this machine cannot connect from -ip=192.0.2.1")

	c = startClient(t, quick(), "-id=x", "-ip=::1", h.url("/"))
	c.expectExit(t, exitFailed)
	c.expectOneErrorLine(t, "::1 is no address to connect from to 127.0.0.1")
}

// closedPipe is a standard output that nobody reads.
type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, errors.New("nobody reads") }

func TestBrokenStandardOutputEndsTheClient(t *testing.T) {
	h := startHub(t)
	stderr := newOutput()
	exited := make(chan int, 1)
	go func() {
		input := strings.NewReader("a\n")
		exited <- run([]string{"-id=x", h.url("/")}, input, closedPipe{}, stderr, nil, quick())
	}()
	expect(t, exited, exitFailed)
	stderr.await(t, "cannot write to standard output: nobody reads")
	expect(t, h.closes, websocket.CloseNormalClosure)
}
