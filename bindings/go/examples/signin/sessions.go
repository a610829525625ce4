package main

import (
	"crypto/rand"
	"sync"
)

const (
	cookieName  = "session"
	maxSessions = 10_000
)

// sessions knows who has signed in, by the random id in the cookie. It forgets the oldest session where
// there would be too many.
type sessions struct {
	mu    sync.Mutex
	names map[string]string
	ids   []string // The oldest first.
}

func (s *sessions) begin(name string) (id string) {
	id = rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ids) == maxSessions {
		delete(s.names, s.ids[0])
		s.ids = s.ids[1:]
	}
	s.ids = append(s.ids, id)
	s.names[id] = name
	return id
}

// name returns the name under which the holder of a cookie has signed in, or "".
func (s *sessions) name(cookie string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names[cookie]
}
