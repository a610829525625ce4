package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

const usage = `Usage: go-client -id NAME [flags]

Sends each line of standard input as the message "[NAME] line", and prints what arrives.

  -id NAME          name of this client (required)
  -ip ADDRESS       local address to connect from, as 127.0.0.3 (default: the system's choice)
  -url URL          server, ws:// or wss:// (default ws://127.0.0.1:9001/)
                    ?echo=false: own messages do not come back; ?history=N: the last N come first
  -room ROOM        room to be in, 1 to 128 bytes (default: the lobby, or the URL's path)
  -plain            exchange bare messages, as in the paper: nothing is recovered (default false)
  -reconnect=false  do not connect again when the connection is lost (default true)
  -help             show this text

At a terminal Ctrl-D or Ctrl-C leaves. Piped input is sent to its end; the client waits until its
lines have come back, at most 5 s without progress, and exits. A message is at most 1 MiB.
On a terminal "[ana?]" marks a name that only the sender says; "[ana]" is the server's word.
Exit status: 0 clean close; 1 not connected, connection lost or a line not delivered; 2 bad flag.
`

const (
	defaultURL = "ws://127.0.0.1:9001/"

	// maxMessage is the most bytes of an outgoing message, with its "[id] ". It is the server's
	// default limit, beyond which the server closes the connection.
	maxMessage = 1 << 20

	// maxName bounds the id and the room, in bytes; the server refuses longer rooms.
	maxName = 128
)

// errNoID says that -id is missing: the usage is printed.
var errNoID = errors.New("-id is required")

// options are the flags, validated.
type options struct {
	id        string
	url       *url.URL
	local     *net.TCPAddr // nil: the system chooses
	plain     bool         // never offer the JSON form
	reconnect bool
}

// parseOptions reads the flags. Its error is flag.ErrHelp if the user asks for the usage, errNoID if
// there is no id, and otherwise names the flag.
func parseOptions(args []string) (*options, error) {
	flags := flag.NewFlagSet("go-client", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	id := flags.String("id", "", "")
	ip := flags.String("ip", "", "")
	server := flags.String("url", defaultURL, "")
	room := flags.String("room", "", "")
	plain := flags.Bool("plain", false, "")
	reconnect := flags.Bool("reconnect", true, "")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *id == "" {
		return nil, errNoID
	}
	if err := checkName(*id); err != nil {
		return nil, fmt.Errorf("-id=%q: %w", *id, err)
	}

	opts := &options{id: *id, plain: *plain, reconnect: *reconnect}
	var err error
	if opts.url, err = parseURL(*server); err != nil {
		return nil, fmt.Errorf("-url=%q: %w", *server, err)
	}
	if *room != "" {
		if err := setRoom(opts.url, *room); err != nil {
			return nil, fmt.Errorf("-room=%q: %w", *room, err)
		}
	}
	if *ip != "" {
		addr, err := netip.ParseAddr(*ip)
		if err != nil {
			return nil, fmt.Errorf("-ip=%q: not an IP address", *ip)
		}
		opts.local = net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0))
	}
	return opts, nil
}

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		// url.Error repeats the URL, which the caller already names.
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return nil, err
	}
	switch {
	case u.Scheme != "ws" && u.Scheme != "wss":
		return nil, errors.New("must begin with ws:// or wss://")
	case u.Hostname() == "":
		return nil, errors.New("has no host")
	case u.User != nil:
		return nil, errors.New("must not hold a user name")
	}
	if u.Path == "" {
		u.Path = "/"
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// setRoom sets the URL's path to that of the room, percent-encoded: a slash in the name is %2F.
func setRoom(u *url.URL, room string) error {
	if u.Path != "/" {
		return fmt.Errorf("-url has a path of its own (%s)", u.EscapedPath())
	}
	if err := checkName(room); err != nil {
		return err
	}
	u.Path = "/rooms/" + room
	u.RawPath = "/rooms/" + url.PathEscape(room)
	return nil
}

func checkName(name string) error {
	switch {
	case len(name) > maxName:
		return fmt.Errorf("longer than %d bytes", maxName)
	case !utf8.ValidString(name):
		return errors.New("not valid UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("has a control character")
	}
	return nil
}

// prefix returns the prefix of each of the client's messages.
func (o *options) prefix() string { return "[" + o.id + "] " }

// echo returns whether the URL asks for the client's own messages.
func (o *options) echo() bool { return o.url.Query().Get("echo") != "false" }

// history returns whether earlier messages may arrive first, this client's own among them.
func (o *options) history() bool { return o.url.Query().Has("history") }
