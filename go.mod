module libchat

go 1.26.0

ignore ./target

require (
	github.com/creack/pty v1.1.24
	github.com/gorilla/websocket v1.5.3
	golang.org/x/term v0.47.0
)

require golang.org/x/sys v0.49.0 // indirect
