package main

import (
	"github.com/OWNER/pulumi-avma/sdk/go/avma"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		node01, err := avma.NewHostLicense(ctx, "node01", &avma.HostLicenseArgs{
			Host:          pulumi.String("node01.example.com"),
			LicenseSource: avma.LicenseSourceSubscription,
		})
		if err != nil {
			return err
		}
		ctx.Export("subscriptionStatus", node01.SubscriptionStatus)
		return nil
	})
}
