// A plain provider on Pulumi's own Go stubs, with one resource, as the yardstick of a preview. It is a floor: a
// provider with a framework or a bridge does more.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
)

const schema = `{
  "name": "plain",
  "version": "1.0.0",
  "resources": {
    "plain:index:RandomString": {
      "inputProperties": {"length": {"type": "integer"}},
      "requiredInputs": ["length"],
      "properties": {"length": {"type": "integer"}, "result": {"type": "string"}},
      "required": ["length", "result"]
    }
  }
}`

type provider struct {
	pulumirpc.UnimplementedResourceProviderServer
}

func (provider) GetSchema(context.Context, *pulumirpc.GetSchemaRequest) (*pulumirpc.GetSchemaResponse, error) {
	return &pulumirpc.GetSchemaResponse{Schema: schema}, nil
}

func (provider) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: "1.0.0"}, nil
}

func (provider) CheckConfig(_ context.Context, request *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	return &pulumirpc.CheckResponse{Inputs: request.GetNews()}, nil
}

func (provider) DiffConfig(context.Context, *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	return &pulumirpc.DiffResponse{}, nil
}

func (provider) Configure(context.Context, *pulumirpc.ConfigureRequest) (*pulumirpc.ConfigureResponse, error) {
	return &pulumirpc.ConfigureResponse{
		AcceptSecrets: true, SupportsPreview: true, AcceptResources: true, AcceptOutputs: true,
	}, nil
}

func (provider) Check(_ context.Context, request *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	response := &pulumirpc.CheckResponse{Inputs: request.GetNews()}
	if length := request.GetNews().GetFields()["length"].GetNumberValue(); length < 1 {
		response.Failures = []*pulumirpc.CheckFailure{{Property: "length", Reason: "must be at least 1"}}
	}
	return response, nil
}

func (provider) Diff(_ context.Context, request *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	old, new := request.GetOlds().GetFields()["length"], request.GetNews().GetFields()["length"]
	if old.GetNumberValue() == new.GetNumberValue() {
		return &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE}, nil
	}
	return &pulumirpc.DiffResponse{
		Changes: pulumirpc.DiffResponse_DIFF_SOME, Diffs: []string{"length"}, Replaces: []string{"length"},
	}, nil
}

func (provider) Create(_ context.Context, request *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	properties := request.GetProperties()
	if request.GetPreview() {
		return &pulumirpc.CreateResponse{Properties: properties}, nil
	}
	text := rand.Text()[:int(properties.GetFields()["length"].GetNumberValue())]
	properties.Fields["result"] = structpb.NewStringValue(text)
	return &pulumirpc.CreateResponse{Id: text, Properties: properties}, nil
}

func (provider) Read(_ context.Context, request *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	return &pulumirpc.ReadResponse{
		Id: request.GetId(), Properties: request.GetProperties(), Inputs: request.GetInputs(),
	}, nil
}

func (provider) Delete(context.Context, *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (provider) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	server := grpc.NewServer()
	pulumirpc.RegisterResourceProviderServer(server, provider{})
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	if err := server.Serve(listener); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
