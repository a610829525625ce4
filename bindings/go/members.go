package chat

/*
#include "libchat_cgo.h"

#cgo noescape chat_server_member_count
#cgo nocallback chat_server_member_count
#cgo noescape chat_server_set_members
#cgo nocallback chat_server_set_members
*/
import "C"

// Member is a client in a room (Server.Members).
type Member struct {
	Client        ClientID
	Identity      string // The client's identity (see Server.SetIdentity).
	Name          string // What other clients are told that it is called (see Server.SetName).
	IsNameClaimed bool   // Whether only the client itself says that this is its name.
	IsAway        bool   // Whether its connection has ended and its place waits for it (Options.MemberGrace).
}

// Members returns who is in a room, in the order of the clients' ids: each client, and each whose
// connection has ended and whose place is kept (Options.MemberGrace). An identity with several
// connections is there several times. Nobody is in a room that does not exist.
//
// The errors are ErrUnsupported if Options.Members is off, ErrInvalidArgument for a name that no room
// can have, ErrInvalidUTF8, ErrTooLarge and ErrStopped.
func (s *Server) Members(room string) ([]Member, error) {
	var list *C.chat_members
	err := s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_members(server, chars(room), C.size_t(len(room)), &list)
	})
	if err != nil {
		return nil, err
	}
	defer C.chat_members_free(list)
	members := make([]Member, 0, int(C.chat_members_len(list)))
	for index := range cap(members) {
		m := C.chat_members_get(list, C.size_t(index))
		members = append(members, Member{
			Client:        ClientID(m.client),
			Identity:      text(m.identity, m.identity_len),
			Name:          text(m.name, m.name_len),
			IsNameClaimed: m.is_name_claimed != 0,
			IsAway:        m.is_away != 0,
		})
	}
	return members, nil
}

// MemberCount returns how many are in a room: the length of what Members returns, at the cost of a
// look-up. The errors are those of Members.
func (s *Server) MemberCount(room string) (int, error) {
	var count C.size_t
	err := s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_member_count(server, chars(room), C.size_t(len(room)), &count)
	})
	return int(count), err
}

// SetMembers sets whether a client may be told of the members of its rooms, whatever Options.Members
// says. It is told if it has also asked for it ("?members=true") and is a client of the JSON form, on
// a WebSocket or as events. One that is allowed gets a list of each of its rooms. One that is not
// allowed any more is told nothing more of members.
//
// SetMembers may wait as Join does. The errors are ErrUnsupported if Options.Members is off,
// ErrNotFound, ErrQueueFull and ErrStopped.
func (s *Server) SetMembers(client ClientID, mayWatch bool) error {
	return s.call(func(server *C.chat_server) C.chat_status {
		return C.chat_server_set_members(server, C.chat_client_id(client), flag(mayWatch))
	})
}
