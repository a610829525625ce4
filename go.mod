module libchat

go 1.24.0

require (
	github.com/creack/pty v1.1.24
	github.com/gorilla/websocket v1.5.3
	golang.org/x/term v0.40.0
)

require golang.org/x/sys v0.41.0 // indirect
