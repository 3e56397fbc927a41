package main

import (
	"github.com/OWNER/pulumi-avma/sdk/go/avma"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		cfg := config.New(ctx, "")
		guestPassword := cfg.RequireSecret("guestPassword")
		hv01, err := avma.NewHostLicense(ctx, "hv01", &avma.HostLicenseArgs{
			Host: pulumi.String("hv01.example.com"),
		})
		if err != nil {
			return err
		}
		web01, err := avma.NewVmActivation(ctx, "web01", &avma.VmActivationArgs{
			Host:   hv01.Host,
			VmName: pulumi.String("web01"),
			Guest: &avma.GuestArgs{
				Username: pulumi.String("Administrator"),
				Password: guestPassword,
			},
		})
		if err != nil {
			return err
		}
		ctx.Export("activatedByHost", web01.ActivatedByHost)
		return nil
	})
}
