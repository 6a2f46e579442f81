package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Driver is what Lima asks of a driver, as far as this one has it: of displays, snapshots and the
// guest's agent gRPC says that there is no such method.
type Driver interface {
	// Info says what the driver is, as JSON.
	Info() (Value, error)
	// Configure takes an instance as JSON, and answers it with what the driver changed.
	Configure(context.Context, Value) (Value, error)
	// Validate fails for an instance that the driver does not run.
	Validate(context.Context) error
	// CreateDisk makes the disk of the image that Lima fetched.
	CreateDisk() error
	// Start boots the guest, calls started when it runs, and returns when it is gone.
	Start(ctx context.Context, started func() error) error
	// Delete hears that the instance is about to be removed.
	Delete(context.Context)
	// Stop powers the guest down, or off, and returns when it is gone.
	Stop(context.Context) error
}

// unary are the methods with one answer.
var unary = map[string]func(Driver, context.Context, Value) (any, error){
	"Info":      func(d Driver, _ context.Context, _ Value) (any, error) { return d.Info() },
	"Configure": func(d Driver, ctx context.Context, in Value) (any, error) { return d.Configure(ctx, in) },
	"Validate":  func(d Driver, ctx context.Context, _ Value) (any, error) { return Value(nil), d.Validate(ctx) },
	"Create":    func(d Driver, ctx context.Context, _ Value) (any, error) { return Value(nil), d.Validate(ctx) },
	"CreateDisk": func(d Driver, _ context.Context, _ Value) (any, error) {
		return Value(nil), d.CreateDisk()
	},
	"Stop": func(d Driver, ctx context.Context, _ Value) (any, error) { return Value(nil), d.Stop(ctx) },
	"Delete": func(d Driver, ctx context.Context, _ Value) (any, error) {
		d.Delete(ctx)
		return Value(nil), nil
	},
	"BootScripts":           nothing,
	"AdditionalSetupForSSH": nothing,
	"SSHAddress":            func(Driver, context.Context, Value) (any, error) { return Value("127.0.0.1"), nil },
	"ForwardGuestAgent":     func(Driver, context.Context, Value) (any, error) { return Flag(true), nil },
}

func nothing(Driver, context.Context, Value) (any, error) { return Value(nil), nil }

// NewServer is a gRPC server of the driver's.
func NewServer(driver Driver, options ...grpc.ServerOption) *grpc.Server {
	server := grpc.NewServer(append(options, grpc.ForceServerCodecV2(codec{}))...)
	description := grpc.ServiceDesc{
		ServiceName: "Driver", // without a package, as Lima's is
		HandlerType: (*Driver)(nil),
		Streams:     []grpc.StreamDesc{{StreamName: "Start", ServerStreams: true, Handler: start}},
	}
	for name, call := range unary {
		description.Methods = append(description.Methods, grpc.MethodDesc{
			MethodName: name,
			Handler: func(d any, ctx context.Context, read func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				var in Value
				if err := read(&in); err != nil {
					return nil, err
				}
				return call(d.(Driver), ctx, in)
			},
		})
	}
	server.RegisterService(&description, driver)
	return server
}

func start(d any, stream grpc.ServerStream) error {
	var none Value
	if err := stream.RecvMsg(&none); err != nil {
		return err
	}
	running := false
	err := d.(Driver).Start(stream.Context(), func() error {
		running = true
		return stream.SendMsg(Progress{Success: true})
	})
	if err != nil {
		if sent := stream.SendMsg(Progress{Error: err.Error()}); sent != nil {
			return sent
		}
		if !running {
			return status.Error(codes.FailedPrecondition, err.Error())
		}
	}
	return stream.SendMsg(Progress{Success: true})
}
