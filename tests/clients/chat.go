// What a Go program does with its standard library: one streamed chat completion, its words on standard output.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
)

type chunk struct {
	Choices []struct{ Delta struct{ Content string } }
}

func main() {
	base := os.Getenv("OPENAI_BASE_URL")
	if base == "" {
		base = "https://api.openai.com/v1"
	}
	ask := strings.NewReader(`{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"天気は？"}]}`)
	request, err := http.NewRequest("POST", base+"/chat/completions", ask)
	stop(err)
	request.Header.Set("Authorization", "Bearer "+os.Getenv("OPENAI_API_KEY"))
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	stop(err)
	defer answer.Body.Close()
	if answer.StatusCode != 200 {
		stop(fmt.Errorf("%s", answer.Status))
	}
	said := ""
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		data := strings.TrimPrefix(lines.Text(), "data: ")
		if data == "" || data == "[DONE]" {
			continue
		}
		var one chunk
		stop(json.Unmarshal([]byte(data), &one))
		for _, choice := range one.Choices {
			said += choice.Delta.Content
		}
	}
	stop(lines.Err())
	fmt.Println(said)
}

func stop(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
