package main

import (
	"github.com/OWNER/pulumi-avma/sdk/go/avma"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		cl01, err := avma.GetClusterNodes(ctx, &avma.GetClusterNodesArgs{
			Cluster: "cl01.example.com",
		}, nil)
		if err != nil {
			return err
		}
		ctx.Export("firstNode", pulumi.String(cl01.Nodes[0].Node))
		ctx.Export("state", pulumi.String(cl01.Nodes[0].State))
		return nil
	})
}
