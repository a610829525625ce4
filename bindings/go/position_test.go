package chat_test

import (
	"errors"
	"math"
	"testing"

	chat "libchat/bindings/go"
)

func TestAPositionIsItsText(t *testing.T) {
	for text, position := range map[string]chat.Position{
		"0-0":                                {},
		"1-0":                                {Epoch: 1},
		"z-42":                               {Epoch: 35, Offset: 42},
		"10-1":                               {Epoch: 36, Offset: 1},
		"3w5e11264sgsf-18446744073709551615": {Epoch: math.MaxUint64, Offset: math.MaxUint64},
	} {
		if position.String() != text {
			t.Errorf("%v, want %s", position, text)
		}
		if parsed, err := chat.ParsePosition(text); parsed != position || err != nil {
			t.Errorf("%s is %v, %v", text, parsed, err)
		}
	}
	for _, text := range []string{
		"", "-", "1", "1-", "-1", "1-2-3", "A-1", "1-a", "+1-1", "1-+1", "01-1", "1-01", " 1-1", "1-1 ", "1--1",
		"1_0-1", "3w5e11264sgsg-1", "1-18446744073709551616",
	} {
		if position, err := chat.ParsePosition(text); !errors.Is(err, chat.ErrInvalidArgument) || !position.IsZero() {
			t.Errorf("%q is %v, %v", text, position, err)
		}
	}
}

func TestWhatIsPublishedIsWhereTheHostIsTold(t *testing.T) {
	server := start(t, chat.Options{})
	before, err := server.Position("a")
	if err != nil || before.Epoch == 0 || before.Offset != 0 {
		t.Fatal(before, err)
	}
	batch := make([]chat.Message, 300)
	for i := range batch {
		batch[i] = chat.Message{Room: "a", Kind: chat.Text}
	}
	positions, err := server.PublishBatch(batch)
	if err != nil || len(positions) != len(batch) {
		t.Fatal(len(positions), err)
	}
	for i, position := range positions {
		if (position != chat.Position{Epoch: before.Epoch, Offset: uint64(i + 1)}) {
			t.Fatalf("message %d is at %v", i, position)
		}
	}
	if top, err := server.Position("a"); top != positions[len(positions)-1] || err != nil {
		t.Error(top, err)
	}
	if positions, err := server.PublishBatch(nil); len(positions) != 0 || err != nil {
		t.Error(positions, err)
	}
	none := start(t, chat.Options{HistoryMessages: -1})
	position, err := none.Publish("a", chat.Text, nil)
	if err != nil || !position.IsZero() {
		t.Error(position, err)
	}
	if position, err := none.Position("a"); err != nil || !position.IsZero() {
		t.Error(position, err)
	}
}
