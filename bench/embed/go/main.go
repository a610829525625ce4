// Publishes from inside the process, through the Go binding: what a call costs the host.
//
// usage: publish GOROUTINES SUBSCRIBERS MESSAGES SIZE BATCH KEYS; the same as publish.c beside it.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
	"unsafe"

	chat "libchat/bindings/go"
)

const stampSize = 32

// put writes a number as letters a to p, four bits each, the lowest first.
func put(out []byte, value uint32) {
	word := uint64(value)
	word = (word | word<<16) & 0x0000ffff0000ffff
	word = (word | word<<8) & 0x00ff00ff00ff00ff
	word = (word | word<<4) & 0x0f0f0f0f0f0f0f0f
	binary.LittleEndian.PutUint64(out, word+0x6161616161616161)
}

func newPayload(publisher uint32, size int) []byte {
	payload := bytes.Repeat([]byte{'x'}, size)
	put(payload, publisher)
	// The load generator subtracts the time from its own clock, which is the same one.
	var now syscall.Timespec
	const monotonic = 1
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, monotonic, uintptr(unsafe.Pointer(&now)), 0)
	put(payload[16:], uint32(now.Nano()))
	put(payload[24:], uint32(now.Nano()>>32))
	return payload
}

func awaitClients(server *chat.Server, count uint64) {
	for range 6000 {
		if uint64(server.Stats().Connections) == count {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	log.Fatalf("there are no %d clients", count)
}

func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func publish(server *chat.Server, pending []chat.Message, hasKeys bool) (err error) {
	if hasKeys {
		// The publisher's number and the message's: a string of the same bytes, which are not changed meanwhile.
		key := unsafe.String(&pending[0].Data[0], 16)
		_, err = server.PublishWith(pending[0].Room, chat.Text, pending[0].Data, chat.PublishOptions{Key: key})
	} else if len(pending) == 1 {
		_, err = server.Publish(pending[0].Room, chat.Text, pending[0].Data)
	} else {
		_, err = server.PublishBatch(pending)
	}
	return err
}

func main() {
	var numbers [6]int
	for i := range numbers {
		var err error
		if len(os.Args) != 7 {
			log.Fatal("usage: publish GOROUTINES SUBSCRIBERS MESSAGES SIZE BATCH KEYS")
		}
		if numbers[i], err = strconv.Atoi(os.Args[i+1]); err != nil || numbers[i] < 0 {
			log.Fatal("not a number: ", os.Args[i+1])
		}
	}
	goroutines, subscribers, messages, size := numbers[0], numbers[1], numbers[2], max(numbers[3], stampSize)
	batch := max(numbers[4], 1)
	server, err := chat.Start(chat.Options{
		Listen:         []string{"127.0.0.1:0"},
		Workers:        1,
		PublishTimeout: time.Minute,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %s\n", server.Addr())
	awaitClients(server, uint64(subscribers))
	// A client is counted a moment before it is in its room.
	time.Sleep(200 * time.Millisecond)

	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for number := range goroutines {
		ready.Add(1)
		done.Add(1)
		go func() {
			defer done.Done()
			pending := make([]chat.Message, batch)
			for i := range pending {
				pending[i] = chat.Message{Room: "lobby", Kind: chat.Text, Data: newPayload(uint32(number), size)}
			}
			ready.Done()
			<-start
			for sent := 0; sent < messages; sent += batch {
				for i, message := range pending {
					put(message.Data[8:], uint32(sent+i))
				}
				if err := publish(server, pending, numbers[5] == 1); err != nil {
					log.Fatal(err)
				}
			}
		}()
	}
	ready.Wait()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin, used := time.Now(), cpu()
	close(start)
	done.Wait()
	wall, used := time.Since(begin), cpu()-used
	runtime.ReadMemStats(&after)
	// The processor time is the whole process's: it is what the host pays only without subscribers.
	calls := float64(messages * goroutines)
	fmt.Printf("{\"wall_ns_per_message\":%.1f,\"cpu_ns_per_message\":%.1f,\"allocations_per_message\":%.3f}\n",
		float64(wall.Nanoseconds())/float64(messages), float64(used.Nanoseconds())/calls,
		float64(after.Mallocs-before.Mallocs)/calls)
	if subscribers > 0 {
		awaitClients(server, 0)
	}
	if err := server.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
}
