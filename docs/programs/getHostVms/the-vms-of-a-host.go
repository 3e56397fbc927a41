package main

import (
	"github.com/OWNER/pulumi-avma/sdk/go/avma"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		hv01, err := avma.GetHostVms(ctx, &avma.GetHostVmsArgs{
			Host: "hv01.example.com",
		}, nil)
		if err != nil {
			return err
		}
		ctx.Export("firstVm", pulumi.String(hv01.Vms[0].VmName))
		ctx.Export("running", pulumi.Bool(hv01.Vms[0].Running))
		return nil
	})
}
