package chat_test

import (
	"slices"
	"testing"

	chat "libchat/bindings/go"
)

func TestWhatIsDoneByIdentityConcernsAllItsClients(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 1000, Workers: 2, MaxRoomsPerClient: 2})
	events := follow(t, server)
	var peers []*peer
	var ids []chat.ClientID
	for range 20 { // More than IdentityClients has room for at first.
		peers = append(peers, connect(t, server, "/"))
		id := next[chat.EventConnected](t, events).Client
		ids = append(ids, id)
		if err := server.SetIdentity(id, "ana"); err != nil {
			t.Fatal(err)
		}
	}
	other := connect(t, server, "/")
	reached := func(what string, want int) func(int, error) {
		return func(count int, err error) {
			t.Helper()
			if err != nil || count != want {
				t.Errorf("%s: %d, %v, want %d", what, count, err, want)
			}
		}
	}
	reached("send", 20)(server.SendToIdentity("ana", chat.Text, []byte("to ana")))
	reached("send to nobody", 0)(server.SendToIdentity("", chat.Text, []byte("to nobody")))
	reached("join", 20)(server.JoinIdentity("ana", "tea"))
	_, err := server.JoinIdentity("ana", "third")
	check(t, "a third room", err, chat.ErrTooManyRooms)
	if _, err := server.Publish("tea", chat.Text, []byte("tea")); err != nil {
		t.Fatal(err)
	}
	reached("leave", 20)(server.LeaveIdentity("ana", "lobby"))
	if _, err := server.Publish("lobby", chat.Text, []byte("lobby")); err != nil {
		t.Fatal(err)
	}
	clients, err := server.IdentityClients("ana")
	slices.Sort(clients)
	slices.Sort(ids)
	if err != nil || !slices.Equal(clients, ids) {
		t.Errorf("%v, %v, want %v", clients, err, ids)
	}
	reached("disconnect", 20)(server.DisconnectIdentity("ana", 4000, "enough"))
	if clients, err := server.IdentityClients("ana"); err != nil || len(clients) != 0 {
		t.Errorf("%v, %v, want none", clients, err)
	}
	for _, p := range peers {
		p.expect(t, "to ana")
		p.expect(t, "tea")
		p.expectClose(t, 4000)
	}
	other.expect(t, "lobby")
}

func TestAWrongCallByIdentitySaysWhatIsWrong(t *testing.T) {
	server := start(t, chat.Options{})
	long := string(make([]byte, 257))
	_, err := server.SendToIdentity(long, chat.Text, nil)
	check(t, "a long identity", err, chat.ErrTooLarge)
	_, err = server.SendToIdentity("ana", 7, nil)
	check(t, "a kind", err, chat.ErrInvalidArgument)
	_, err = server.DisconnectIdentity("ana", 1006, "")
	check(t, "a code", err, chat.ErrInvalidArgument)
	_, err = server.JoinIdentity("ana", "")
	check(t, "no room", err, chat.ErrInvalidArgument)
	_, err = server.LeaveIdentity("\xff", "tea")
	check(t, "no UTF-8", err, chat.ErrInvalidUTF8)
	_, err = server.IdentityClients(long)
	check(t, "a long identity", err, chat.ErrTooLarge)
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = server.IdentityClients("ana")
	check(t, "a stopped server", err, chat.ErrStopped)
}
