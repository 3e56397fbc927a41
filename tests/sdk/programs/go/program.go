// The quickstart in Go: a host gets its licence, and a guest on it is activated.
package main

import (
	"github.com/OWNER/pulumi-avma/sdk/go/avma"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
)

func quickstart(ctx *pulumi.Context) error {
	settings := config.New(ctx, "")
	hv01, err := avma.NewHostLicense(ctx, "hv01", &avma.HostLicenseArgs{
		Host:       pulumi.String(settings.Require("host")),
		ProductKey: settings.RequireSecret("productKey"),
	})
	if err != nil {
		return err
	}
	web01, err := avma.NewVmActivation(ctx, "web01", &avma.VmActivationArgs{
		Host:   hv01.Host,
		VmName: pulumi.String("web01"),
	})
	if err != nil {
		return err
	}
	ctx.Export("activatedByHost", web01.ActivatedByHost)
	return nil
}
