package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
)

// keepAlive is the idle time before TCP keepalive probes are sent.
const keepAlive = 15 * time.Second

// dialResult is an open WebSocket, or a readable reason why there is none.
type dialResult struct {
	ws  *websocket.Conn
	err error
}

// dial connects to the server, from the local address if one is given.
func (o *options) dial(ctx context.Context, timing timing) dialResult {
	dialer := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAlive, Interval: keepAlive},
	}
	if o.local != nil {
		// A nil *net.TCPAddr would be a non-nil net.Addr.
		dialer.LocalAddr = o.local
	}
	upgrade := websocket.Dialer{
		Proxy:            http.ProxyFromEnvironment,
		NetDialContext:   dialer.DialContext,
		HandshakeTimeout: timing.handshake,
	}
	ws, response, err := upgrade.DialContext(ctx, o.url.String(), nil)
	if err != nil {
		return dialResult{err: o.explainDial(err, response, timing)}
	}
	return dialResult{ws: ws}
}

// unreachable is an error that says that no server answers at the address.
type unreachable string

func (u unreachable) Error() string { return string(u) }

func (o *options) explainDial(err error, response *http.Response, timing timing) error {
	var netErr net.Error
	var addrErr *net.AddrError
	switch {
	case errors.Is(err, websocket.ErrBadHandshake) && response != nil:
		return explainAnswer(response)
	case errors.Is(err, syscall.EADDRNOTAVAIL) && o.local != nil:
		return fmt.Errorf("this machine cannot connect from -ip=%s", o.local.IP)
	case errors.As(err, &addrErr) && o.local != nil:
		return fmt.Errorf("%s is no address to connect from to %s", o.local.IP, o.url.Hostname())
	case errors.Is(err, syscall.ECONNREFUSED):
		return unreachable("connection refused")
	case errors.As(err, &netErr) && netErr.Timeout():
		return unreachable(fmt.Sprintf("no answer within %v", timing.handshake))
	}
	return errors.New(escape(err.Error()))
}

// explainAnswer describes the answer of an HTTP server that did not upgrade, with its first line.
func explainAnswer(response *http.Response) error {
	defer response.Body.Close()
	if response.StatusCode == http.StatusSwitchingProtocols {
		return errors.New("the server's upgrade is not that of a WebSocket")
	}
	text := "the server answered " + response.Status
	// gorilla has read at most 1024 bytes of the body.
	lines := bufio.NewScanner(response.Body)
	if lines.Scan() && lines.Text() != "" {
		text += ": " + lines.Text()
	}
	return errors.New(escape(text))
}
