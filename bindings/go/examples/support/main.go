// Command support is a support desk: agents talk to customers, and hand them over to each other. Start it with
// go run ./bindings/go/examples/support
//
// A customer connects to / with the cookie "customer", which the website sets. It has a room of its own, and
// has not left while it reloads the page. Agents connect to /rooms/desk?format=json&token=ana-secret. There
// they see who waits, talk to each other, and say "assign CUSTOMER AGENT" to take a customer or to hand it over:
// the agent gets all that was said in the customer's room, and answers there.
package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	chat "libchat/bindings/go"
)

// A real program has no such table: it checks the token's signature, or asks its database.
var agents = map[string]string{"ana-secret": "ana", "ben-secret": "ben"}

// support knows the agent of each customer who is here: "" while the customer waits.
type support struct {
	*chat.Server
	agentOf map[string]string
}

func (s support) admit(e chat.EventConnectRequest) error {
	identity, room := agents[cmp.Or(e.Bearer(), e.QueryValue("token"))], "desk"
	if cookie := e.Cookie("customer"); cookie != "" && e.Room != room {
		identity = fmt.Sprintf("customer-%x", sha256.Sum256([]byte(cookie)))[:25] // The cookie is a secret.
		room = identity
	}
	if identity == "" {
		return s.Reject(e.Client, 401, "customers need a cookie, agents ?token=TOKEN", nil)
	}
	err := errors.Join(s.SetIdentity(e.Client, identity), s.SetName(e.Client, identity),
		s.Leave(e.Client, e.Room), s.JoinWithPast(e.Client, room, chat.PastAll, chat.Position{}))
	if err != nil {
		return err
	}
	return s.Accept(e.Client)
}

// move takes a customer from an agent, gives it to another, who may have several pages open, and tells all agents.
func (s support) move(customer, from, to, news string) error {
	clients, err := s.IdentityClients(to)
	for _, client := range clients {
		err = errors.Join(err, s.JoinWithPast(client, customer, chat.PastAll, chat.Position{}))
	}
	_, left := s.LeaveIdentity(from, customer)
	_, told := s.Publish("desk", chat.Text, []byte(customer+": "+news))
	return errors.Join(err, left, told)
}

func (s support) handle(event chat.Event) (err error) {
	switch e := event.(type) {
	case chat.EventConnectRequest:
		return s.admit(e)
	case chat.EventMemberEntered:
		if e.Identity == e.Room {
			s.agentOf[e.Room] = ""
			return s.move(e.Room, "", "", "waits")
		}
	case chat.EventConnected: // An agent who reloads the page has its customers again.
		for customer, agent := range s.agentOf {
			if e.Room == "desk" && agent == e.Identity {
				err = errors.Join(err, s.JoinWithPast(e.Client, customer, chat.PastAll, chat.Position{}))
			}
		}
	case chat.EventMemberLeft: // And has not come back within the grace.
		switch agent := s.agentOf[e.Room]; e.Identity {
		case e.Room:
			delete(s.agentOf, e.Room)
			return s.move(e.Room, agent, "", "has left")
		case agent:
			s.agentOf[e.Room] = ""
			return s.move(e.Room, "", "", "waits")
		}
	case chat.EventMessage:
		var customer, agent string
		fmt.Sscanf(string(e.Data), "assign %s %s", &customer, &agent)
		before, isHere := s.agentOf[customer]
		if _, isCustomer := s.agentOf[agent]; e.Room == "desk" && isHere && !isCustomer && agent != before {
			s.agentOf[customer] = agent
			return s.move(customer, before, agent, cmp.Or(agent, "waits"))
		}
	}
	return err
}

func main() {
	server, err := chat.Start(chat.Options{
		Listen: os.Args[1:], Origins: []string{"http://localhost:*"}, EventQueue: 1024, AdmissionTimeout: 5 * time.Second,
		Members: chat.MembersClients, MemberGrace: 5 * time.Second, HistoryAge: 24 * time.Hour, MaxConnections: 1000,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("support at ws://%s/ - Ctrl-C stops it\n", server.Addr())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, func() { stop(); server.RequestStop() })
	desk := support{server, map[string]string{}}
	for event := range server.Events(context.Background()) {
		// A client may have left meanwhile, and the server may be stopping.
		if err := desk.handle(event); err != nil && !errors.Is(err, chat.ErrNotFound) && !errors.Is(err, chat.ErrStopped) {
			log.Print(err)
		}
	}
	if err := server.Wait(context.Background()); err != nil {
		log.Fatal(err)
	}
}
