// Command go-client is a chat client for the terminal and for scripts.
//
//	go run ./go-client -id=client1
//	go run ./go-client -id=client2 -ip=127.0.0.3 -room=tea
//	printf 'a\nb\n' | go run ./go-client -id=script
//
// The client sends each line of standard input as the text message "[id] line", and prints each
// message that arrives on a line of its own. It prints the size of a binary message.
//
// # Terminal
//
// When standard input and output are a terminal, messages are printed above the line that is being
// typed, with control characters escaped. Ctrl-C, Ctrl-D, SIGINT, SIGTERM and SIGHUP leave with a
// clean WebSocket close; a second signal leaves without it.
//
// # Pipe
//
// When standard input is not a terminal, the client sends all of it, waits for the echo of every
// line, closes and exits. It gives up after 5 s without progress. With ?echo=false in -url there is no
// echo; instead the client waits for the close handshake, which the server answers after it has read
// every line.
//
// # Bounds
//
// A message is at most 1 MiB, its "[id] " included; a line that is typed at a terminal is at most 4096
// characters. The client reports longer lines and does not send them. Invalid UTF-8 becomes U+FFFD.
//
// # Reconnect
//
// When a connection ends, the client connects again and says so on standard error. The wait before an
// attempt grows from 0.25 to 0.5 s up to 15 to 30 s. It begins anew after a close with code 1001, 1012 or
// 1013, and the first one is what the server asks for, if it does. At a terminal Enter tries at once.
// Lines that are typed meanwhile wait, at most 100. The client does not reconnect if the first connection
// fails, if the server closes with code 1000 (done) or 1008 (policy), or with -reconnect=false.
//
// The client offers the subprotocol libchat.json. With a server that chooses it, messages have positions:
// after a lost connection the client continues from the last one, so that none is missing and none
// appears twice. What the server cannot recover is said on standard error. With any other server, and
// with -plain, messages from the time of a lost connection stay missing; the client says so once, at a
// terminal when it connects, in a script when it connects again.
//
// A line that was sent and not confirmed when its connection was lost is looked for in what is recovered.
// If it is not there, or without recovery, the client reports it and does not send it again, so that
// nothing appears twice.
//
// # Names
//
// A line begins with "[id] ", so that clients of the plain form see who says it. In libchat.json the
// client claims its id as its name too, and a terminal shows whose word a name is:
//
//	[ana] salut           the server calls the sender ana
//	[ana?] salut          the sender says that it is ana
//	[ana] [bob?] salut    the server calls it ana, and it says that it is bob
//	[?] salut             neither names the sender
//
// Messages of the server itself and of this client are printed as they are; so is every message of the
// plain form, in which all names are claims, and every message if standard output is no terminal.
//
// # Exit status
//
// 0 after a clean close; 1 if the server cannot be reached, the connection is lost for good, the close
// is not answered, or a piped line was not sent or not echoed; 2 for a wrong flag.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	signals, first := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		leave := <-signals
		// The next signal kills the process, even if it is stuck in writing its output.
		signal.Stop(signals)
		first <- leave
	}()
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, first, defaultTiming))
}

// run runs the program and returns its exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer, signals <-chan os.Signal, timing timing) int {
	opts, err := parseOptions(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return exitOK
	case errors.Is(err, errNoID):
		fmt.Fprint(stderr, usage)
		return exitFailed
	case err != nil:
		fmt.Fprintf(stderr, "go-client: %v (-help shows the flags)\n", err)
		return exitUsage
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	dialed := make(chan dialResult, 1)
	go func() { dialed <- opts.dial(ctx, timing, opts.address(&positions{}), false) }()

	var first dialResult
	select {
	case first = <-dialed:
	case <-signals:
		fmt.Fprintln(stderr, "go-client: interrupted before there was a connection")
		return exitFailed
	}
	if first.err != nil {
		hint := ""
		if _, ok := first.err.(unreachable); ok {
			hint = "; is the server running? start it with: cargo run --release"
		}
		fmt.Fprintf(stderr, "go-client: cannot connect to %s: %v%s\n", opts.url, first.err, hint)
		return exitFailed
	}

	screen, err := openScreen(stdin, stdout, stderr)
	if err != nil {
		first.ws.Close()
		fmt.Fprintf(stderr, "go-client: cannot set up the terminal: %v\n", err)
		return exitFailed
	}
	defer screen.close()

	input := make(chan inputEvent)
	if screen.editor != nil {
		go screen.editor.read(ctx, input)
	} else {
		go readLines(ctx, stdin, maxMessage-len(opts.prefix()), input)
	}
	return newSession(opts, timing, screen, input, signals).run(ctx, first)
}
