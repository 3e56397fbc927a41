package main

import (
	"github.com/OWNER/pulumi-avma/sdk/go/avma"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		hv01, err := avma.LookupHostLicense(ctx, &avma.LookupHostLicenseArgs{
			Host: "hv01.example.com",
		}, nil)
		if err != nil {
			return err
		}
		ctx.Export("edition", pulumi.String(hv01.Edition))
		ctx.Export("osVersion", pulumi.String(hv01.OsVersion))
		return nil
	})
}
