package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestPipedInputSendsAllLinesAndWaitsForTheirEcho(t *testing.T) {
	h := startHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	c.pipe(t, "a\n\nb\r\nlast")
	c.expectExit(t, exitOK)
	c.expectOutput(t, "[x] a\n[x] \n[x] b\n[x] last\n")
	expect(t, h.closes, websocket.CloseNormalClosure)
	if text := c.stderr.String(); text != "" {
		t.Fatalf("a script's standard error is not silent:\n%s", text)
	}
}

func TestTenThousandPipedLinesComeBackInOrder(t *testing.T) {
	h := startHub(t)
	var input, want strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&input, "%d\n", i)
		fmt.Fprintf(&want, "[x] %d\n", i)
	}
	c := startClient(t, quick(), "-id=x", h.url("/"))
	c.pipe(t, input.String())
	c.expectExit(t, exitOK)
	c.expectOutput(t, want.String())
}

func TestEmptyInputClosesCleanly(t *testing.T) {
	h := startHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	c.pipe(t, "")
	c.expectExit(t, exitOK)
	expect(t, h.closes, websocket.CloseNormalClosure)
}

func TestMissingEchoEndsWithOneLineAndStatus1(t *testing.T) {
	h := startHub(t)
	h.mute.Store(true)
	timing := quick()
	timing.stall = 100 * time.Millisecond
	c := startClient(t, timing, "-id=x", h.url("/"))
	c.pipe(t, "a\nb\n")
	c.expectExit(t, exitFailed)
	c.expectOneErrorLine(t, `no echo within 100ms: 2 lines did not come back, from "[x] a" on`)
	expect(t, h.closes, websocket.CloseNormalClosure)
}

func TestWithEchoFalseAllLinesArriveBeforeTheClose(t *testing.T) {
	h := startHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/?echo=false"))
	c.pipe(t, strings.Repeat("a\n", 5_000)+"last\n")
	c.expectExit(t, exitOK)
	c.expectOutput(t, "")
	expect(t, h.closes, websocket.CloseNormalClosure)
	for range 5_000 {
		expect(t, h.received, "[x] a")
	}
	expect(t, h.received, "[x] last")
}

func TestHistoryIsNotTakenForTheEcho(t *testing.T) {
	h := startHub(t)
	h.broadcast("[x] a")
	c := startClient(t, quick(), "-id=x", h.url("/?history=5"))
	c.pipe(t, "a\n")
	c.expectExit(t, exitOK)
	c.expectOutput(t, "[x] a\n[x] a\n")
}

func TestTooLongLineIsReportedAndTheOthersAreSent(t *testing.T) {
	h := startHub(t)
	longest := strings.Repeat("y", maxMessage-len("[x] "))
	c := startClient(t, quick(), "-id=x", h.url("/"))
	c.pipe(t, "a\n"+longest+"z\n"+longest+"\nb\n")
	c.expectExit(t, exitFailed)
	c.expectOneErrorLine(t, "line 2 is longer than 1048572 bytes: not sent")
	c.expectOutput(t, "[x] a\n[x] "+longest+"\n[x] b\n")
}

func TestInvalidUTF8IsReplacedBeforeItIsSent(t *testing.T) {
	h := startHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	c.pipe(t, "a\xff\xfeb\n")
	c.expectExit(t, exitOK)
	expect(t, h.received, "[x] a\uFFFDb")
}

func TestBinaryMessagesAreShownByTheirSize(t *testing.T) {
	h := startHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	receive(t, h.joined)
	h.deliver(nil, websocket.BinaryMessage, "\x00\x01\x02")
	h.deliver(nil, websocket.BinaryMessage, "\x00")
	c.stdout.await(t, "<binary, 3 bytes>\n<binary, 1 byte>\n")
	c.pipe(t, "")
	c.expectExit(t, exitOK)
}

func TestWhatOthersSayIsPrintedWhileInputIsOpen(t *testing.T) {
	h := startHub(t)
	c := startClient(t, quick(), "-id=x", h.url("/"))
	receive(t, h.joined)
	h.broadcast("[y] salut")
	c.stdout.await(t, "[y] salut\n")
	c.say(t, "salut")
	c.stdout.await(t, "[x] salut\n")
	c.pipe(t, "")
	c.expectExit(t, exitOK)
}
