package chat_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	chat "libchat/bindings/go"
)

func TestAHostReadsWhoSaidWhatInPages(t *testing.T) {
	server := start(t, chat.Options{EventQueue: 64})
	events := follow(t, server)
	p := connect(t, server, "/rooms/a?name=ana")
	client := next[chat.EventConnected](t, events).Client
	if err := server.SetIdentity(client, "user 7"); err != nil {
		t.Fatal(err)
	}
	begun := time.Now().Add(-time.Minute)
	p.say(t, "salut")
	next[chat.EventMessage](t, events)
	var all []string
	for i := range 9 {
		all = append(all, fmt.Sprint(i))
		if _, err := server.Publish("a", chat.Binary, []byte(all[i])); err != nil {
			t.Fatal(err)
		}
	}
	all = append([]string{"salut"}, all...)

	texts := func(page chat.HistoryPage) (texts []string) {
		for _, message := range page.Messages {
			texts = append(texts, string(message.Data))
		}
		return texts
	}
	read := func(r chat.Range, limit int) chat.HistoryPage {
		t.Helper()
		page, err := server.History("a", r, limit)
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
	first := read(chat.RangeAfter(chat.Position{}), 1)
	said := first.Messages[0]
	if said.Client != client || said.Identity != "user 7" || said.Name != "ana" || !said.IsNameClaimed ||
		said.Kind != chat.Text || said.Time.Before(begun) || said.Time.After(time.Now().Add(time.Minute)) {
		t.Errorf("the client's message is %+v", said)
	}
	if !first.HasMore || first.Position.Offset != 10 || first.Gap != chat.GapNone {
		t.Errorf("the page is %+v", first)
	}
	if host := read(chat.RangeLast, 1).Messages[0]; host.Client != 0 || host.Identity != "" || host.Kind != chat.Binary {
		t.Errorf("the host's message is %+v", host)
	}

	var forward, backward []string
	for page := first; ; page = read(chat.RangeAfter(page.Messages[len(page.Messages)-1].Position), 4) {
		if forward = append(forward, texts(page)...); !page.HasMore {
			break
		}
	}
	for page := read(chat.RangeLast, 3); ; page = read(chat.RangeBefore(page.Messages[0].Position), 3) {
		if backward = append(texts(page), backward...); !page.HasMore {
			break
		}
	}
	if !slices.Equal(forward, all) || !slices.Equal(backward, all) {
		t.Errorf("read %q and %q of %q", forward, backward, all)
	}

	middle := read(chat.RangeLast, 5).Messages[0].Position
	if err := server.Trim("a", middle); err != nil {
		t.Fatal(err)
	}
	if page := read(chat.RangeAfter(said.Position), 100); page.Gap != chat.GapTrimmed || !slices.Equal(texts(page), all[6:]) {
		t.Errorf("after a trim the page is %+v", page)
	}
	if err := server.Forget("a"); err != nil {
		t.Fatal(err)
	}
	page := read(chat.RangeAfter(middle), 100)
	if page.Gap != chat.GapEpoch || len(page.Messages) != 0 || page.Position.Epoch == middle.Epoch {
		t.Errorf("of a forgotten room the page is %+v", page)
	}
	check(t, "trim to a position of before", server.Trim("a", middle), chat.ErrInvalidArgument)
	_, err := server.History("a", chat.RangeLast, -1)
	check(t, "a negative limit", err, chat.ErrInvalidArgument)
	_, err = server.History("", chat.RangeLast, 1)
	check(t, "no room", err, chat.ErrInvalidArgument)
	for gap, want := range []string{"none", "epoch", "trimmed", "ahead", "no_history", "gap 5"} {
		if chat.Gap(gap).String() != want {
			t.Errorf("gap %d is %q", gap, chat.Gap(gap))
		}
	}
}
