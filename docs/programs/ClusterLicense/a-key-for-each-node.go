package main

import (
	"github.com/OWNER/pulumi-avma/sdk/go/avma"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		cfg := config.New(ctx, "")
		firstKey := cfg.RequireSecret("firstKey")
		secondKey := cfg.RequireSecret("secondKey")
		cl01, err := avma.NewClusterLicense(ctx, "cl01", &avma.ClusterLicenseArgs{
			Nodes: pulumi.StringArray{
				pulumi.String("hv01.example.com"),
				pulumi.String("hv02.example.com"),
			},
			ProductKeys: pulumi.StringMap{
				"hv01.example.com": firstKey,
				"hv02.example.com": secondKey,
			},
		})
		if err != nil {
			return err
		}
		ctx.Export("licensedNodes", cl01.LicensedNodes)
		return nil
	})
}
