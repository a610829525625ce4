//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// onResize calls the function now and whenever the terminal's size changes, until stop.
func onResize(resized func()) (stop func()) {
	changes := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(changes, syscall.SIGWINCH)
	resized()
	go func() {
		for {
			select {
			case <-changes:
				resized()
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(changes)
		close(done)
	}
}
