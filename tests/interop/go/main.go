// A SignalR server in Go, told what to send by one JSON line on stdin and reporting in JSON lines.
//
// In and out are those of aiosignalr_server.py.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/philippseith/signalr"
)

type task struct {
	Token  string
	Script map[string]map[string][][]any
}

var (
	todo task
	// Guards stdout and links, which handlers of all connections use.
	mutex sync.Mutex
	links = map[net.Conn]bool{}
)

func say(event string, fields map[string]any) {
	mutex.Lock()
	defer mutex.Unlock()
	fields["event"] = event
	line, err := json.Marshal(fields)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(line))
}

// typed makes integers of whole numbers, which MessagePack tells from others and JSON does not.
func typed(value any) any {
	switch value := value.(type) {
	case json.Number:
		if whole, err := value.Int64(); err == nil {
			return whole
		}
		number, _ := value.Float64()
		return number
	case []any:
		for i := range value {
			value[i] = typed(value[i])
		}
	case map[string]any:
		for name := range value {
			value[name] = typed(value[name])
		}
	}
	return value
}

type market struct {
	signalr.Hub
}

func (m *market) SubscribeContractTrades(contract string) {
	m.play("SubscribeContractTrades", contract)
}
func (m *market) SubscribeContractQuotes(contract string) {
	m.play("SubscribeContractQuotes", contract)
}

func (m *market) play(method, contract string) {
	say("called", map[string]any{"method": method, "contract": contract})
	for _, message := range todo.Script[method][contract] {
		m.Clients().Caller().Send(message[0].(string), message[1:]...)
	}
}

func gate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		if request.Header.Get("Authorization") != "Bearer "+todo.Token {
			writer.WriteHeader(http.StatusUnauthorized)
			return
		}
		if request.Header.Get("Upgrade") != "" {
			say("upgraded", map[string]any{"negotiated": request.URL.Query().Has("id")})
		}
		next.ServeHTTP(writer, request)
	})
}

func watch(link net.Conn, state http.ConnState) {
	if state == http.StateHijacked {
		mutex.Lock()
		defer mutex.Unlock()
		links[link] = true
	}
}

func drop() {
	mutex.Lock()
	defer mutex.Unlock()
	for link := range links {
		link.Close()
		delete(links, link)
	}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	if !lines.Scan() {
		log.Fatal("no task came")
	}
	script := json.NewDecoder(bytes.NewReader(lines.Bytes()))
	script.UseNumber()
	if err := script.Decode(&todo); err != nil {
		log.Fatal(err)
	}
	for _, contracts := range todo.Script {
		for _, messages := range contracts {
			for _, message := range messages {
				for i := range message {
					message[i] = typed(message[i])
				}
			}
		}
	}
	server, err := signalr.NewServer(
		context.Background(),
		signalr.HubFactory(func() signalr.HubInterface { return &market{} }),
		signalr.HTTPTransports(signalr.TransportWebSockets),
	)
	if err != nil {
		log.Fatal(err)
	}
	router := http.NewServeMux()
	server.MapHTTP(signalr.WithHTTPServeMux(router), "/hub")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	say("listening", map[string]any{"url": fmt.Sprintf("http://%s/hub", listener.Addr())})
	go func() {
		log.Fatal((&http.Server{Handler: gate(router), ConnState: watch}).Serve(listener))
	}()
	for lines.Scan() && lines.Text() == "drop" {
		drop()
	}
}
