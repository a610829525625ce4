package chat_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	chat "libchat/bindings/go"
)

func Example() {
	server, err := chat.Start(chat.Options{Listen: []string{"127.0.0.1:0"}})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	client, _, err := websocket.DefaultDialer.Dial("ws://"+server.Addr().String()+"/", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if err := client.WriteMessage(websocket.TextMessage, []byte("[client1] salut")); err != nil {
		log.Fatal(err)
	}
	_, text, err := client.ReadMessage()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", text)
	// Output: [client1] salut
}

func ExampleStart() {
	first, err := chat.Start(chat.Options{Listen: []string{"127.0.0.1:0"}, NoEcho: true})
	if err != nil {
		log.Fatal(err)
	}
	defer first.Close()
	_, err = chat.Start(chat.Options{Listen: []string{first.Addr().String()}})
	fmt.Println(errors.Is(err, chat.ErrAddressInUse), errors.Is(err, syscall.EADDRINUSE))
	// Output: true true
}

func ExampleServer_Publish() {
	server, err := chat.Start(chat.Options{Listen: []string{"127.0.0.1:0"}})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	for _, text := range []string{"first", "second"} {
		position, err := server.Publish("news", chat.Text, []byte(text))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(position.Offset)
	}

	// A client that connects later asks for the history.
	client, _, err := websocket.DefaultDialer.Dial("ws://"+server.Addr().String()+"/rooms/news?history=1", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	_, text, err := client.ReadMessage()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", text)
	// Output:
	// 1
	// 2
	// second
}

// A program that greets each client, and stops when the first one has disconnected.
func ExampleServer_Events() {
	server, err := chat.Start(chat.Options{Listen: []string{"127.0.0.1:0"}, EventQueue: 1024})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	go func() {
		client, _, err := websocket.DefaultDialer.Dial("ws://"+server.Addr().String()+"/rooms/go?name=ana", nil)
		if err != nil {
			log.Fatal(err)
		}
		defer client.Close()
		if _, _, err := client.ReadMessage(); err != nil {
			log.Fatal(err)
		}
		bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "bye")
		if err := client.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second)); err != nil {
			log.Fatal(err)
		}
		client.ReadMessage() // The server's answer.
	}()

	for event, err := range server.Events(context.Background()) {
		if err != nil {
			log.Fatal(err)
		}
		switch event := event.(type) {
		case chat.EventConnected:
			fmt.Println("connected to", event.Room, "with", event.Query)
			if err := server.Send(event.Client, chat.Text, []byte("welcome")); err != nil {
				log.Print(err) // The client may have left.
			}
		case chat.EventDisconnected:
			fmt.Println("disconnected:", event.Code, event.Reason)
			server.RequestStop()
		case chat.EventStopped:
			fmt.Println("stopped")
		}
	}
	// Output:
	// connected to go with name=ana
	// disconnected: 1000 bye
	// stopped
}

func ExampleServer_Shutdown() {
	server, err := chat.Start(chat.Options{Listen: []string{"127.0.0.1:0"}})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); errors.Is(err, chat.ErrTimedOut) {
		log.Print("some clients did not answer in time")
	}
	fmt.Println(server.Broadcast(chat.Text, []byte("too late")))
	// Output: chat: the server has stopped
}
