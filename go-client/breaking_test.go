package main

import (
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// breakingListener makes connections that break after as many bytes as the hub's budget says.
type breakingListener struct {
	net.Listener
	hub *jsonHub
}

func (l *breakingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil || l.hub.budget == nil {
		return conn, err
	}
	return &breakingConn{Conn: conn, left: l.hub.budget()}, nil
}

type breakingConn struct {
	net.Conn
	broken atomic.Bool

	mu   sync.Mutex
	left int
}

func (c *breakingConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.Conn.Write(p[:min(len(p), c.left)])
	c.left -= n
	if err != nil || c.left > 0 {
		return n, err
	}
	c.broken.Store(true)
	c.Close()
	return n, net.ErrClosed
}

// breakingProxy passes connections on to the server, each until the server has sent as many bytes as the
// budget says. It returns its URL.
func (s *server) breakingProxy(t *testing.T, budget func() int64) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimSuffix(strings.TrimPrefix(s.url, "ws://"), "/")
	var all sync.WaitGroup
	all.Add(1)
	go func() {
		defer all.Done()
		for {
			down, err := listener.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", address)
			if err != nil {
				down.Close()
				continue
			}
			left := budget()
			end := sync.OnceFunc(func() {
				up.Close()
				down.Close()
			})
			all.Add(2)
			go func() {
				defer all.Done()
				_, _ = io.CopyN(down, up, left)
				end()
			}()
			go func() {
				defer all.Done()
				_, _ = io.Copy(up, down)
				end()
			}()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		all.Wait()
	})
	return "ws://" + listener.Addr().String() + "/"
}
