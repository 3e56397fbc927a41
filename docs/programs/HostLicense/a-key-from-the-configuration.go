package main

import (
	"github.com/OWNER/pulumi-avma/sdk/go/avma"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		cfg := config.New(ctx, "")
		productKey := cfg.RequireSecret("productKey")
		hv01, err := avma.NewHostLicense(ctx, "hv01", &avma.HostLicenseArgs{
			Host:              pulumi.String("hv01.example.com"),
			ProductKey:        productKey,
			ProductKeyVersion: avma.Version_2025,
		})
		if err != nil {
			return err
		}
		ctx.Export("activatesGuests", hv01.ActivatesGuests)
		return nil
	})
}
