package main

import (
	"github.com/OWNER/pulumi-avma/sdk/go/avma"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		upgraded, err := avma.GetCompatibility(ctx, &avma.GetCompatibilityArgs{
			HostVersion:  avma.Version_2022,
			GuestVersion: avma.Version_2025,
		}, nil)
		if err != nil {
			return err
		}
		ctx.Export("activates", pulumi.Bool(upgraded.Activates))
		ctx.Export("reason", pulumi.String(upgraded.Reason))
		return nil
	})
}
