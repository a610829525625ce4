// Command signin is a web program with a chat inside, on one port. Who has signed in to the web program
// may chat, under the same name.
//
//	go run ./bindings/go/examples/signin
//
// The program hands requests for /chat/ to the chat's own port, which only this machine reaches. The
// chat asks the program about each client, and the program looks at the client's cookie. It also asks
// about each message, and the program writes the author's name into it.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html/template"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	chat "libchat/bindings/go"
)

const (
	maxName = 64   // Bytes.
	maxText = 4096 // Bytes.
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// web returns the handler of the one port: the program's own pages, and the chat.
func web(users *sessions, chatAddr net.Addr) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		var name string
		if cookie, err := r.Cookie(cookieName); err == nil {
			name = users.name(cookie.Value)
		}
		_ = page.Execute(w, name) // An error here is that the browser has left.
	})
	mux.HandleFunc("POST /signin", func(w http.ResponseWriter, r *http.Request) {
		// A page of another site must not sign anybody in.
		if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host && origin != "https://"+r.Host {
			http.Error(w, "sign in on the page of this program", http.StatusForbidden)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
		name := strings.TrimSpace(r.PostFormValue("name"))
		isHidden := func(r rune) bool { return !unicode.IsPrint(r) }
		if name == "" || len(name) > maxName || !utf8.ValidString(name) || strings.ContainsFunc(name, isHidden) {
			http.Error(w, fmt.Sprintf("a name has 1 to %d bytes, all visible", maxName), http.StatusBadRequest)
			return
		}
		// Here a real program checks a password.
		http.SetCookie(w, &http.Cookie{
			Name: cookieName, Value: users.begin(name), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode,
		})
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: chatAddr.String()})
		// The chat lets pages of its own host in, and this is the host that the browser knows.
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}}
	mux.Handle("GET /chat/", http.StripPrefix("/chat", proxy))
	return mux
}

// line is a message as the page gets it. From is empty if the program itself has written it.
type line struct {
	From string `json:"from"`
	Text string `json:"text"`
}

func (l line) bytes() []byte {
	text, _ := json.Marshal(l) // Two strings cannot fail.
	return text
}

// decide answers what the chat asks and tells.
func decide(server *chat.Server, users *sessions, event chat.Event) error {
	switch event := event.(type) {
	case chat.EventConnectRequest:
		name := users.name(event.Cookie(cookieName))
		if name == "" {
			return server.Reject(event.Client, http.StatusUnauthorized, "sign in first", nil)
		}
		if err := server.SetIdentity(event.Client, name); err != nil {
			return err
		}
		return server.Accept(event.Client)
	case chat.EventMessageRequest:
		if event.Kind != chat.Text || len(event.Data) > maxText {
			refused := line{Text: fmt.Sprintf("Not sent: a message is text of at most %d bytes.", maxText)}
			return errors.Join(server.Refuse(event.Decision), server.Send(event.Client, chat.Text, refused.bytes()))
		}
		signed := line{event.Identity, string(event.Data)}
		return server.AllowChanged(event.Decision, chat.Text, signed.bytes())
	case chat.EventConnected:
		return server.Broadcast(chat.Text, line{Text: event.Identity + " has come"}.bytes())
	case chat.EventDisconnected:
		if event.Identity != "" {
			return server.Broadcast(chat.Text, line{Text: event.Identity + " has left"}.bytes())
		}
	}
	return nil
}

// run serves until the context is done, or a server fails.
func run(ctx context.Context, listen string) error {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("%w; choose another address with -listen", err)
	}
	defer listener.Close()
	server, err := chat.Start(chat.Options{
		Listen:           []string{"127.0.0.1:0"},
		AdmissionTimeout: 5 * time.Second,
		ReviewTimeout:    5 * time.Second,
		EventQueue:       1024,
		MaxMessageSize:   8 * maxText, // JSON may write a byte as six.
	})
	if err != nil {
		return err
	}
	defer server.Close()
	users := &sessions{names: map[string]string{}}
	go func() {
		for event, err := range server.Events(context.Background()) {
			if err == nil {
				err = decide(server, users, event)
			}
			// A client may have left meanwhile, and the server may be stopping.
			if err != nil && !errors.Is(err, chat.ErrNotFound) && !errors.Is(err, chat.ErrStopped) {
				log.Print(err)
			}
		}
	}()
	pages := &http.Server{Handler: web(users, server.Addr()), ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan error, 2)
	go func() { ended <- pages.Serve(listener) }()
	go func() { ended <- server.Wait(context.Background()) }()

	addr := listener.Addr().(*net.TCPAddr)
	open := addr.String()
	if addr.IP.IsUnspecified() {
		open = fmt.Sprintf("localhost:%d", addr.Port)
	}
	fmt.Printf("open http://%s/ in two browsers; Ctrl-C ends the program\n", open)
	select {
	case err = <-ended:
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// The chat first: its clients are connected through the pages' server.
	if stopped := server.Shutdown(drain); errors.Is(stopped, chat.ErrTimedOut) {
		log.Print("some clients did not answer in time")
	}
	return errors.Join(err, pages.Shutdown(drain))
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "the address of the pages and of the chat")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // A second Ctrl-C ends the program at once.
	if err := run(ctx, *listen); err != nil {
		log.Fatal(err)
	}
}
