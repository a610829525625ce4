package chat

import (
	"errors"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unsafe"
)

// What libchat.h has, Go has: whatever is added there fails here until it is said in Go too.

func header(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../include/libchat.h")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// constants are those of an enum whose names begin with a prefix, by the rest of the name.
func constants(t *testing.T, prefix string) map[string]int32 {
	t.Helper()
	found := map[string]int32{}
	for _, match := range regexp.MustCompile(`(?m)^  `+prefix+`(\w+) = (-?\d+),$`).FindAllStringSubmatch(header(t), -1) {
		number, err := strconv.ParseInt(match[2], 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		found[match[1]] = int32(number)
	}
	if mentioned := regexp.MustCompile(`(?m)^ +`+prefix+`\w+ *=`).FindAllString(header(t), -1); len(mentioned) != len(found) || len(found) < 10 {
		t.Fatalf("libchat.h has %d names %s..., of which %d are understood", len(mentioned), prefix, len(found))
	}
	return found
}

// camel writes a C name as Go does: messages_received and MESSAGES_RECEIVED are MessagesReceived.
func camel(name string) string {
	var written strings.Builder
	for word := range strings.SplitSeq(strings.ToLower(name), "_") {
		written.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return written.String()
}

// eventOf copies an event of C's that is empty but for its type. Its Go type has no name here.
func eventOf[E any](copy func(*E) Event, kind uint32) Event {
	event := new(E)
	*(*uint32)(unsafe.Pointer(event)) = kind // The type is the first field.
	return copy(event)
}

func TestEveryEventOfTheHeaderIsTold(t *testing.T) {
	for name, number := range constants(t, "CHAT_EVENT_") {
		event := eventOf(copyEvent, uint32(number))
		if event == nil {
			t.Errorf("CHAT_EVENT_%s is passed over", name)
		} else if is := reflect.TypeOf(event).Name(); is != "Event"+camel(name) {
			t.Errorf("CHAT_EVENT_%s is told as %s", name, is)
		}
	}
	if event := eventOf(copyEvent, 1<<20); event != nil {
		t.Errorf("an event of a later version is told as %T", event)
	}
}

// errorOf is what Go makes of a status, whose Go type has no name here.
func errorOf[S ~int32](convert func(S) error, status int32) error { return convert(S(status)) }

func TestEveryErrorOfTheHeaderIsTold(t *testing.T) {
	// These come of a bug, of this package or libchat: the rest is for programs to act on.
	internal := map[string]bool{"NULL_ARGUMENT": true, "IN_HANDLER": true, "FORKED": true, "PANIC": true}
	names := map[error]string{}
	for name, status := range constants(t, "CHAT_ERR_") {
		err := errorOf(statusError, status)
		if err == nil || errors.Is(err, ErrInternal) != internal[name] {
			t.Errorf("CHAT_ERR_%s is %v", name, err)
		}
		if other, used := names[err]; used && !internal[name] {
			t.Errorf("CHAT_ERR_%s and CHAT_ERR_%s are both %v", name, other, err)
		}
		names[err] = name
	}
}

func TestEveryCounterOfTheHeaderIsRead(t *testing.T) {
	_, after, found := strings.Cut(header(t), "What a server has counted")
	text, _, ended := strings.Cut(after, "} chat_stats;")
	if !found || !ended {
		t.Fatal("libchat.h has no chat_stats")
	}
	source, err := os.ReadFile("handle.go")
	if err != nil {
		t.Fatal(err)
	}
	counters := regexp.MustCompile(`(?m)^  (.+) (\w+);$`).FindAllStringSubmatch(text, -1)
	if len(counters) < 10 {
		t.Fatalf("only %d counters are understood", len(counters))
	}
	fields := reflect.TypeFor[Stats]()
	for _, counter := range counters {
		field, found := fields.FieldByName(camel(counter[2]))
		if !found || counter[1] != "uint64_t" || field.Type.Kind() != reflect.Uint64 {
			t.Errorf("%s %s is not a field of Stats", counter[1], counter[2])
		} else if !regexp.MustCompile(field.Name + `: +uint64\(c\.` + counter[2] + `\),`).Match(source) {
			t.Errorf("%s is not read", field.Name)
		}
	}
	if fields.NumField() != len(counters) {
		t.Errorf("Stats has %d fields, chat_stats %d", fields.NumField(), len(counters))
	}
}

func TestTheVersionIsTheHeaders(t *testing.T) {
	if !strings.Contains(header(t), `#define CHAT_VERSION_STRING "`+Version()+`"`) {
		t.Errorf("the library's version is %q, and not the header's", Version())
	}
}
