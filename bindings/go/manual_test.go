package chat_test

import (
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The program at the top of the package's documentation, as a reader would copy it.
func TestTheManualsFirstProgramCompiles(t *testing.T) {
	manual, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(manual), "# A first program\n")
	text, _, ended := strings.Cut(after, "\n// A client")
	if !found || !ended {
		t.Fatal("doc.go has no first program")
	}
	var program strings.Builder
	for line := range strings.Lines(strings.Trim(text, "/\n")) {
		program.WriteString(strings.TrimPrefix(strings.TrimPrefix(line, "//"), "\t"))
	}
	source := strings.TrimSpace(program.String()) + "\n"
	formatted, err := format.Source([]byte(source))
	if err != nil || string(formatted) != source {
		t.Errorf("not as gofmt writes it: %v\n%s", err, source)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```go\n"+source+"```\n") {
		t.Error("the first program of README.md is another one")
	}
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	// Compiled and vetted, not linked: the tests themselves are.
	if output, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}
