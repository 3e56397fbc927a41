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
		guests, err := avma.NewClusterActivation(ctx, "guests", &avma.ClusterActivationArgs{
			Cluster: pulumi.String("cl01.example.com"),
			Exclude: pulumi.StringArray{
				pulumi.String("test-*"),
			},
			Guest: &avma.GuestDefaultsArgs{
				Username: pulumi.String("Administrator"),
				Password: guestPassword,
			},
		})
		if err != nil {
			return err
		}
		ctx.Export("activated", guests.Activated)
		return nil
	})
}
