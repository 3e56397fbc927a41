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
		cl01, err := avma.NewClusterLicense(ctx, "cl01", &avma.ClusterLicenseArgs{
			Cluster:    pulumi.String("cl01.example.com"),
			ProductKey: productKey,
		})
		if err != nil {
			return err
		}
		ctx.Export("licensedNodes", cl01.LicensedNodes)
		return nil
	})
}
