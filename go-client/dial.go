package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
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
	ws   *websocket.Conn
	json bool // the server has chosen the JSON form
	err  error
}

// dial connects to the server, and offers it the JSON form. A server that does not know it leaves it out
// of its answer. Some refuse the offer instead: those are asked for a connection as the URL says, unless
// the server is known to speak JSON. Then a broken handshake is an accident of the network, after which
// the plain form would lose messages.
func (o *options) dial(ctx context.Context, timing timing, address string, known bool) dialResult {
	if o.plain {
		result, _ := o.attempt(ctx, timing, address)
		return result
	}
	result, refused := o.attempt(ctx, timing, address, subprotocol)
	if refused && !known {
		result, _ = o.attempt(ctx, timing, o.url.String())
	}
	return result
}

// attempt connects once, from the local address if one is given. It returns whether the server may have
// refused the connection because of what is offered.
func (o *options) attempt(ctx context.Context, timing timing, address string, offers ...string) (dialResult, bool) {
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
		Subprotocols:     offers,
	}
	ws, response, err := upgrade.DialContext(ctx, address, nil)
	if err != nil {
		return dialResult{err: o.explainDial(err, response, timing)}, refusesOffer(err, response)
	}
	return dialResult{ws: ws, json: ws.Subprotocol() == subprotocol}, false
}

// refusesOffer returns whether a failed handshake may be due to the subprotocol or the claimed name: the
// server finds the request wrong, fails, or hangs up. Answers about the path or the visitor are none, and
// neither is one of a server that is full.
func refusesOffer(err error, response *http.Response) bool {
	if response == nil {
		return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
	}
	switch response.StatusCode {
	case http.StatusBadRequest, http.StatusNotAcceptable, http.StatusUpgradeRequired,
		http.StatusInternalServerError, http.StatusNotImplemented, http.StatusBadGateway,
		http.StatusSwitchingProtocols:
		return true
	}
	return false
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
