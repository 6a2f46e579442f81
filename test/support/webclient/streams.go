package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/url"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
)

const patience = 60 * time.Second

// raw passes messages through as they are, so that no generated code is needed.
type raw struct{}

func (raw) Name() string                  { return "raw" }
func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

// stream sends o.count messages on one gRPC stream, each once the one before was answered.
func stream(o options) (any, error) {
	to, err := url.Parse(o.url)
	if err != nil {
		return nil, err
	}
	trust := credentials.NewTLS(&tls.Config{RootCAs: o.trust})
	conn, err := grpc.NewClient("dns:///"+to.Host, grpc.WithTransportCredentials(trust),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if o.bearer != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+o.bearer)
	}
	chat, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/echo.Echo/Chat")
	if err != nil {
		return nil, err
	}
	for i := range o.count {
		sent := []byte(fmt.Sprintf("message %d", i))
		if err := chat.SendMsg(&sent); err != nil {
			return nil, err
		}
		var got []byte
		if err := chat.RecvMsg(&got); err != nil {
			return nil, err
		}
		if string(got) != string(sent) {
			return nil, fmt.Errorf("sent %q, got %q", sent, got)
		}
	}
	chat.CloseSend()
	var none []byte
	end := chat.RecvMsg(&none)
	return map[string]any{"echoed": o.count, "end": end.Error(), "trailer": chat.Trailer()["sum"]}, nil
}

// socket does the same on a WebSocket, and closes it in order.
func socket(o options) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, o.url, &websocket.DialOptions{HTTPClient: o.client()})
	if err != nil {
		return nil, err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(4 << 20)
	for i := range o.count {
		sent := make([]byte, 1+i*1000%1_000_000)
		sent[0] = byte(i)
		if err := conn.Write(ctx, websocket.MessageBinary, sent); err != nil {
			return nil, err
		}
		_, got, err := conn.Read(ctx)
		if err != nil {
			return nil, err
		}
		if string(got) != string(sent) {
			return nil, fmt.Errorf("message %d came back changed", i)
		}
	}
	return map[string]any{"echoed": o.count}, conn.Close(websocket.StatusNormalClosure, "done")
}
