// A chat as gws recommends it: a Broadcaster encodes a message once, and each connection's write
// queue sends it.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/lxzan/gws"
)

const pingWait = 60 * time.Second

type handler struct {
	gws.BuiltinEventHandler
	mutex   sync.RWMutex
	clients map[*gws.Conn]struct{}
}

func (h *handler) OnOpen(socket *gws.Conn) {
	h.mutex.Lock()
	h.clients[socket] = struct{}{}
	h.mutex.Unlock()
}

func (h *handler) OnClose(socket *gws.Conn, _ error) {
	h.mutex.Lock()
	delete(h.clients, socket)
	h.mutex.Unlock()
}

func (h *handler) OnPing(socket *gws.Conn, payload []byte) {
	_ = socket.SetDeadline(time.Now().Add(pingWait))
	_ = socket.WritePong(payload)
}

func (h *handler) OnMessage(_ *gws.Conn, message *gws.Message) {
	defer message.Close()
	broadcaster := gws.NewBroadcaster(message.Opcode, message.Bytes())
	defer broadcaster.Close()
	h.mutex.RLock()
	defer h.mutex.RUnlock()
	for socket := range h.clients {
		_ = broadcaster.Broadcast(socket)
	}
}

func main() {
	h := &handler{clients: map[*gws.Conn]struct{}{}}
	upgrader := gws.NewUpgrader(h, &gws.ServerOption{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %s\n", listener.Addr())
	log.Fatal(http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		socket, err := upgrader.Upgrade(w, r)
		if err != nil {
			return
		}
		go socket.ReadLoop()
	})))
}
