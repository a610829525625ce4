// Command signin is a web program with a chat inside. A user who has signed in to the web program may
// chat, under the same name.
//
//	go run ./bindings/go/examples/signin
//
// The program signs a cookie. The browser sends the cookie to the chat too, since cookies hold for all
// ports of a host. The chat asks the program about each client, and the program checks the cookie.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"html/template"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	chat "libchat/bindings/go"
)

const cookieName = "session"

// signer makes signed cookies and checks them.
type signer struct{ key []byte }

func (s signer) sign(name string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(name))
	return hex.EncodeToString([]byte(name)) + "." + hex.EncodeToString(mac.Sum(nil))
}

// name returns the name under which the user signed in, and whether the user did.
func (s signer) name(request *http.Request) (string, bool) {
	cookie, err := request.Cookie(cookieName)
	if err != nil {
		return "", false
	}
	encoded, _, _ := strings.Cut(cookie.Value, ".")
	name, err := hex.DecodeString(encoded)
	return string(name), err == nil && hmac.Equal([]byte(s.sign(string(name))), []byte(cookie.Value))
}

var page = template.Must(template.New("page").Parse(`<!doctype html><title>Chat</title>
{{if .Name}}<p>You are {{.Name}}.</p><ul id=log></ul><form id=say><input id=text autofocus></form><script>
const chat = new WebSocket("ws://" + location.hostname + ":{{.Port}}/")
chat.onmessage = e => { const li = document.createElement("li"); li.textContent = e.data; log.append(li) }
chat.onclose = e => { const li = document.createElement("li"); li.textContent = "closed " + e.reason; log.append(li) }
say.onsubmit = e => { e.preventDefault(); chat.send(text.value); text.value = "" }
</script>{{else}}<form method=post action=/login><input name=name placeholder="your name" maxlength=64 autofocus></form>{{end}}`))

// web returns the handler of the program's own pages.
func web(sessions signer, port int) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		name, _ := sessions.name(r)
		if err := page.Execute(w, map[string]any{"Name": name, "Port": port}); err != nil {
			log.Print(err)
		}
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimSpace(r.FormValue("name"))
		if name == "" || len(name) > 64 {
			http.Error(w, "a name has 1 to 64 bytes", http.StatusBadRequest)
			return
		}
		http.SetCookie(w, &http.Cookie{
			Name: cookieName, Value: sessions.sign(name), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		})
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	return mux
}

// admit decides on a client.
func admit(server *chat.Server, sessions signer, asked chat.EventConnectRequest) error {
	name, ok := sessions.name(&http.Request{Header: asked.HTTPHeader()})
	if !ok {
		return server.Reject(asked.Client, http.StatusUnauthorized, "sign in first", nil)
	}
	if err := server.SetIdentity(asked.Client, name); err != nil {
		return err
	}
	return server.Accept(asked.Client)
}

// host runs the chat until the context is done or the server has stopped.
func host(ctx context.Context, server *chat.Server, sessions signer) {
	for event, err := range server.Events(ctx) {
		if err != nil {
			return
		}
		switch event := event.(type) {
		case chat.EventConnectRequest:
			// The client may have left meanwhile: keep running.
			if err := admit(server, sessions, event); err != nil {
				log.Print("client ", event.Client, ": ", err)
			}
		case chat.EventConnected:
			server.Broadcast(chat.Text, []byte(event.Identity+" has come"))
		case chat.EventDisconnected:
			if event.Identity != "" {
				server.Broadcast(chat.Text, []byte(event.Identity+" has left"))
			}
		}
	}
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address of the pages")
	chatListen := flag.String("chat", "127.0.0.1:9001", "address of the chat")
	flag.Parse()
	sessions := signer{make([]byte, 32)}
	rand.Read(sessions.key)

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	server, err := chat.Start(chat.Options{
		Listen: []string{*chatListen},
		// The pages come from another port, so their origin is another one.
		Origins:          []string{"http://" + listener.Addr().String()},
		AdmissionTimeout: 5 * time.Second,
		EventQueue:       1024,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("open http://%s/ in two browsers\n", listener.Addr())

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	pages := &http.Server{Handler: web(sessions, server.Addr().(*net.TCPAddr).Port), ReadHeaderTimeout: 5 * time.Second}
	go pages.Serve(listener)
	host(ctx, server, sessions)
	pages.Close()
	if err := server.Shutdown(context.Background()); err != nil {
		log.Print(err)
	}
}
