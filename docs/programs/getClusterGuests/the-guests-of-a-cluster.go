package main

import (
	"github.com/OWNER/pulumi-avma/sdk/go/avma"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		cl01, err := avma.GetClusterGuests(ctx, &avma.GetClusterGuestsArgs{
			Cluster: pulumi.StringRef("cl01.example.com"),
		}, nil)
		if err != nil {
			return err
		}
		ctx.Export("activated", pulumi.Int(cl01.Activated))
		ctx.Export("notActivated", pulumi.Int(cl01.NotActivated))
		return nil
	})
}
