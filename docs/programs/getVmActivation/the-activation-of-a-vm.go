package main

import (
	"github.com/OWNER/pulumi-avma/sdk/go/avma"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		web01, err := avma.LookupVmActivation(ctx, &avma.LookupVmActivationArgs{
			Host:   pulumi.StringRef("hv01.example.com"),
			VmName: pulumi.StringRef("web01"),
		}, nil)
		if err != nil {
			return err
		}
		ctx.Export("guestVersion", pulumi.String(web01.GuestVersion))
		ctx.Export("minutesRemaining", pulumi.Int(web01.MinutesRemaining))
		return nil
	})
}
