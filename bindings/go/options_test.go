package chat_test

import (
	"errors"
	"log/slog"
	"math"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	chat "libchat/bindings/go"
)

// wrong holds a value out of the limits for each option, by the field's name.
var wrong = map[string]struct {
	option string // The server's word for it.
	values []any
}{
	"Listen":            {"listen", []any{[]string{"localhost"}, []string{""}, []string{"a\xff"}}},
	"IPv6Only":          {},
	"Workers":           {"workers", []any{-1, 257, math.MaxInt}},
	"BusyPoll":          {"busy_poll", durations(1001*time.Microsecond, math.MaxInt64)},
	"NoEcho":            {},
	"Origins":           {"origin", []any{[]string{"example.org"}, []string{"*", "\xff"}}},
	"MaxConnections":    {"max_connections", []any{-1, 100_000_001, math.MaxInt}},
	"MaxHandshakes":     {"max_handshakes", []any{-1, 1_000_001}},
	"MaxRoomsPerClient": {"max_rooms_per_client", []any{-1, 1_000_001}},
	"HandshakeTimeout":  {"handshake_timeout", durations(-1, 9*time.Millisecond, 25*time.Hour)},
	"HandshakeSize":     {"handshake_size", []any{-1, 8<<10 - 1, 1<<20 + 1}},
	"BasePath":          {"base_path", []any{"chat", "/chat/", "/a?b", "\xff"}},
	"AdmissionTimeout":  {"admission_timeout", durations(-1, 9*time.Millisecond, 25*time.Hour, time.Second)},
	"ReviewTimeout":     {"review_timeout", durations(-1, 9*time.Millisecond, 25*time.Hour, time.Second)},
	"Overdue":           {"overdue", []any{chat.Overdue(3), chat.Overdue(math.MaxUint32)}},
	"MaxMessageSize":    {"max_message_size", []any{-1, 1<<30 + 1}},
	"OutboxSize":        {"outbox_size", []any{-1, 4<<10 - 1, 64<<30 + 1}},
	"OutboxAge":         {"outbox_age", durations(-1, 1, 25*time.Hour)},
	"SlowConsumer":      {"slow_consumer", []any{chat.SlowConsumer(3), chat.SlowConsumer(math.MaxUint32)}},
	"PingInterval":      {"ping_interval", durations(1, 9*time.Millisecond, 25*time.Hour, math.MaxInt64)},
	"PingTimeout":       {"ping_timeout", durations(-1, 9*time.Millisecond, 25*time.Hour)},
	"TCPKeepalive":      {"tcp_keepalive", durations(1, 1500*time.Millisecond, 10*time.Hour)},
	"HistoryMessages":   {"history_messages", []any{1_000_001, math.MaxInt}},
	"HistorySize":       {"history_size", []any{64<<30 + 1}},
	"HistoryAge":        {"history_age", durations(-1, 1, 10_001*24*time.Hour)},
	"HistoryTotal":      {"history_total", []any{1<<40 + 1}},
	"PublishTimeout":    {"publish_timeout", durations(25*time.Hour, math.MaxInt64)},
	"EventQueue":        {"event_queue", []any{-1, 1<<24 + 1}},
	"SignalRate":        {"signal_rate", []any{-1, 1_000_001, math.MaxInt}},
	"Members":           {"members", []any{chat.Members(4), chat.Members(math.MaxUint32)}},
	"MemberGrace":       {"member_grace", durations(61*time.Second, math.MaxInt64)},
	"Occupancy":         {},
	"Logger":            {},
}

func durations(values ...time.Duration) (list []any) {
	for _, value := range values {
		list = append(list, value)
	}
	return list
}

func TestEveryOptionOutOfItsLimitsIsNamed(t *testing.T) {
	fields := reflect.TypeFor[chat.Options]()
	for index := range fields.NumField() {
		name := fields.Field(index).Name
		cases, known := wrong[name]
		if !known {
			t.Errorf("%s is not tested", name)
		}
		for _, value := range cases.values {
			options := chat.Options{Listen: []string{"127.0.0.1:0"}}
			reflect.ValueOf(&options).Elem().Field(index).Set(reflect.ValueOf(value))
			server, err := chat.Start(options)
			if err == nil {
				server.Close()
			}
			if !errors.Is(err, chat.ErrInvalidArgument) && !errors.Is(err, chat.ErrInvalidUTF8) ||
				!strings.HasPrefix(err.Error(), "chat: "+cases.option+": ") {
				t.Errorf("%s = %v: %v", name, value, err)
			}
		}
	}
}

func TestEveryAddressOfIPv6IsEveryAddressOfIPv4UnlessIPv6Only(t *testing.T) {
	for _, only := range []bool{false, true} {
		server := start(t, chat.Options{Listen: []string{"[::]:0"}, IPv6Only: only})
		for _, ip := range []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback} {
			addr := &net.TCPAddr{IP: ip, Port: server.Addr().(*net.TCPAddr).Port}
			conn, err := net.DialTimeout("tcp", addr.String(), patience)
			if err == nil {
				conn.Close()
			}
			if refused := only && ip.To4() != nil; (err != nil) != refused {
				t.Errorf("%s with IPv6Only %t: %v", addr, only, err)
			}
		}
	}
}

func TestEveryOptionMayBeSet(t *testing.T) {
	server := start(t, chat.Options{
		Listen:           []string{"127.0.0.1:0"},
		IPv6Only:         true,
		Workers:          2,
		BusyPoll:         time.Millisecond,
		NoEcho:           true,
		Origins:          []string{"https://example.org", "*"},
		MaxConnections:   1,
		MaxHandshakes:    10,
		HandshakeTimeout: time.Second,
		HandshakeSize:    8 << 10,
		BasePath:         "/chat",
		MaxMessageSize:   10,
		OutboxSize:       8 << 10,
		OutboxAge:        time.Second,
		Overdue:          chat.Allow,
		SlowConsumer:     chat.DropOldest,
		PingInterval:     10 * time.Millisecond,
		PingTimeout:      patience,
		TCPKeepalive:     time.Second,
		HistoryMessages:  1,
		HistorySize:      1,
		HistoryAge:       time.Second,
		HistoryTotal:     8192,
		PublishTimeout:   time.Nanosecond,
		EventQueue:       64,
		Logger:           slog.New(slog.DiscardHandler),
	})
	pinged := make(chan string, 1024)
	conn, err := dial(server, "/chat", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetPingHandler(func(data string) error {
		pinged <- data
		return nil
	})
	go conn.ReadMessage()
	receive(t, pinged)
	if second, err := dial(server, "/chat/", "", nil); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a second connection: %v, %v", second, err)
	}
}

func TestNegativeTurnsOffWhatCanBe(t *testing.T) {
	server := start(t, chat.Options{
		BusyPoll:        -1,
		PingInterval:    -1,
		TCPKeepalive:    -1,
		HistoryMessages: -1,
		PublishTimeout:  -1,
	})
	p := connect(t, server, "/")
	p.say(t, "salut")
	p.expect(t, "salut")
}

func TestAHistoryThatIsTurnedOffKeepsNothing(t *testing.T) {
	for name, test := range map[string]struct {
		options chat.Options
		keeps   bool
	}{
		"default":          {chat.Options{}, true},
		"no messages":      {chat.Options{HistoryMessages: -1}, false},
		"no bytes a room":  {chat.Options{HistorySize: -1}, false},
		"no bytes for all": {chat.Options{HistoryTotal: -1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, test.options)
			if _, err := server.Publish("lobby", chat.Text, []byte("before")); err != nil {
				t.Fatal(err)
			}
			p := connect(t, server, "/?history=10")
			if _, err := server.Publish("lobby", chat.Text, []byte("now")); err != nil {
				t.Fatal(err)
			}
			if test.keeps {
				p.expect(t, "before")
			}
			p.expect(t, "now")
		})
	}
}

func TestAMessageOverTheLimitEndsItsConnection(t *testing.T) {
	server := start(t, chat.Options{MaxMessageSize: 10})
	p := connect(t, server, "/")
	p.say(t, "0123456789")
	p.expect(t, "0123456789")
	p.say(t, "0123456789.")
	p.expectClose(t, websocket.CloseMessageTooBig)
}
