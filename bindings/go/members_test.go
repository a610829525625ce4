package chat_test

import (
	"errors"
	"testing"
	"time"

	chat "libchat/bindings/go"
)

func TestTheHostSeesWhoIsInARoomAndIsToldWhoComesAndGoes(t *testing.T) {
	server := start(t, chat.Options{
		EventQueue:       100,
		AdmissionTimeout: time.Minute,
		Members:          chat.MembersClients,
		MemberGrace:      -1,
		Occupancy:        true,
	})
	var seen []string
	enters := 0
	dialed := make(chan func(), 1)
	go func() {
		conn, err := dial(server, "/rooms/a?name=ana", "", nil)
		if err != nil {
			t.Error(err)
			dialed <- func() {}
			return
		}
		dialed <- func() { conn.Close() }
	}()
	for event, err := range server.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		switch e := event.(type) {
		case chat.EventConnectRequest:
			for _, err := range []error{
				server.SetIdentity(e.Client, "user 7"),
				server.SetMembers(e.Client, true),
				server.Accept(e.Client),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
		case chat.EventConnected:
			members, err := server.Members("a")
			want := chat.Member{Client: e.Client, Identity: "user 7", Name: "ana", IsNameClaimed: true}
			if err != nil || len(members) != 1 || members[0] != want {
				t.Errorf("members: %+v, %v", members, err)
			}
			if count, err := server.MemberCount("a"); count != 1 || err != nil {
				t.Errorf("%d members, %v", count, err)
			}
			(<-dialed)()
		case chat.EventRoomOccupied:
			seen = append(seen, "occupied "+e.Room)
		case chat.EventMemberEntered:
			enters++
			seen = append(seen, "entered "+e.Identity)
		case chat.EventMemberLeft:
			seen = append(seen, "left "+e.Identity)
		case chat.EventRoomVacated:
			seen = append(seen, "vacated "+e.Room)
			go server.RequestStop()
		}
	}
	want := []string{"occupied a", "entered user 7", "left user 7", "vacated a"}
	if len(seen) != len(want) || enters != 1 {
		t.Fatalf("events: %q", seen)
	}
	for i := range want {
		if seen[i] != want[i] {
			t.Fatalf("events: %q", seen)
		}
	}
}

func TestMembersNeedTheirOption(t *testing.T) {
	server := start(t, chat.Options{})
	_, list := server.Members("a")
	_, count := server.MemberCount("a")
	for _, err := range []error{list, count, server.SetMembers(1, true)} {
		if !errors.Is(err, chat.ErrUnsupported) {
			t.Error(err)
		}
	}
}
