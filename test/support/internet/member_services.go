package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/coder/websocket"
)

// What the servers for members offer beside files and git: the little of each service that its clients need.

// dayToken is what the token service of a container registry gives for an account's credential.
const dayToken = "day-token-of-the-registry"

// token is the one service behind Basic credentials in the flow of container registries.
func token(w http.ResponseWriter, q *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"token": dayToken, "expires_in": 300})
}

// registry has one small manifest, for whoever has the day's token.
func registry(w http.ResponseWriter, q *http.Request) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
	fmt.Fprintln(w, `{"schemaVersion":2,"layers":[]}`)
}

var said = []string{"hello ", "from ", "a ", "model"}

// events writes each as it comes, as models do.
func events(w http.ResponseWriter, all []string) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, event := range all {
		io.WriteString(w, event+"\n\n")
		w.(http.Flusher).Flush()
	}
}

// completions streams an answer of the kind that clients of OpenAI's interface read.
func completions(w http.ResponseWriter, q *http.Request) {
	all := []string{}
	for _, word := range said {
		chunk := map[string]any{
			"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "small",
			"choices": []any{map[string]any{"index": 0, "delta": map[string]string{"content": word}}},
		}
		text, _ := json.Marshal(chunk)
		all = append(all, "data: "+string(text))
	}
	events(w, append(all, "data: [DONE]"))
}

// messages does the same in Anthropic's.
func messages(w http.ResponseWriter, q *http.Request) {
	event := func(name string, fields string) string {
		return fmt.Sprintf("event: %s\ndata: {\"type\":%q%s}", name, name, fields)
	}
	all := []string{
		event("message_start", `,"message":{"id":"msg_1","type":"message","role":"assistant","model":"small",`+
			`"content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}`),
		event("content_block_start", `,"index":0,"content_block":{"type":"text","text":""}`),
	}
	for _, word := range said {
		text, _ := json.Marshal(word)
		all = append(all, event("content_block_delta",
			`,"index":0,"delta":{"type":"text_delta","text":`+string(text)+`}`))
	}
	events(w, append(all, event("content_block_stop", `,"index":0`),
		event("message_delta", `,"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":4}`),
		event("message_stop", "")))
}

// live is a WebSocket whose first message has to carry the credential once more, as brokers of events want it.
// It says so when it does, and echoes what follows.
func (s *servers) live(w http.ResponseWriter, q *http.Request) {
	conn, err := websocket.Accept(w, q, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	var first struct{ Token string }
	_, message, err := conn.Read(q.Context())
	if err != nil || json.Unmarshal(message, &first) != nil ||
		"Bearer "+first.Token != s.members[q.Host].Value {
		conn.Close(4401, "members only")
		return
	}
	for answer := "welcome"; conn.Write(q.Context(), websocket.MessageText, []byte(answer)) == nil; {
		_, message, err := conn.Read(q.Context())
		if err != nil {
			return
		}
		answer = "echo " + string(message)
	}
}
