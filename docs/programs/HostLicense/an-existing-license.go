package main

import (
	"github.com/OWNER/pulumi-avma/sdk/go/avma"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		hv01, err := avma.NewHostLicense(ctx, "hv01", &avma.HostLicenseArgs{
			Host: pulumi.String("hv01.example.com"),
		})
		if err != nil {
			return err
		}
		ctx.Export("licenseChannel", hv01.LicenseChannel)
		return nil
	})
}
