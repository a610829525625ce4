package chat_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	chat "libchat/bindings/go"
)

func TestWaitEndsWithTheServerByEachKindOfStop(t *testing.T) {
	for name, stop := range map[string]func(*chat.Server) error{
		"Shutdown":    func(s *chat.Server) error { return s.Shutdown(context.Background()) },
		"Close":       (*chat.Server).Close,
		"RequestStop": func(s *chat.Server) error { s.RequestStop(); return nil },
	} {
		server := start(t, chat.Options{})
		waited := make(chan error, 3)
		for range cap(waited) {
			go func() { waited <- server.Wait(t.Context()) }()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		if err := server.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(name, "a wait whose context is done:", err)
		}
		cancel()
		if err := stop(server); err != nil {
			t.Fatal(name, err)
		}
		for range cap(waited) {
			if err := receive(t, waited); err != nil {
				t.Error(name, err)
			}
		}
		if err := server.Wait(t.Context()); err != nil {
			t.Error(name, "after the end:", err)
		}
		if err := server.Close(); err != nil {
			t.Error(name, err)
		}
		if err := server.Wait(t.Context()); err != nil {
			t.Error(name, "after the close:", err)
		}
	}
}

func TestPagesThatWereAnsweredAreCounted(t *testing.T) {
	server := start(t, chat.Options{})
	response, err := http.Get("http://" + server.Addr().String() + "/health")
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response, err)
	}
	response.Body.Close()
	if stats := server.Stats(); stats.RequestsAnswered != 1 || stats.ConnectionsRefused != 0 {
		t.Errorf("%+v", stats)
	}
}
