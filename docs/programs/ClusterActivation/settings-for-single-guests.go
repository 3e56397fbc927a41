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
		databasePassword := cfg.RequireSecret("databasePassword")
		guests, err := avma.NewClusterActivation(ctx, "guests", &avma.ClusterActivationArgs{
			Hosts: pulumi.StringArray{
				pulumi.String("hv01.example.com"),
				pulumi.String("hv02.example.com"),
			},
			Guest: &avma.GuestDefaultsArgs{
				Username: pulumi.String("Administrator"),
				Password: guestPassword,
			},
			Guests: avma.GuestSettingsMap{
				"db01": &avma.GuestSettingsArgs{
					Username: pulumi.String("db-admin"),
					Password: databasePassword,
				},
			},
			UnreachableGuests: avma.UnreadGuestsFail,
		})
		if err != nil {
			return err
		}
		ctx.Export("notActivated", guests.NotActivated)
		return nil
	})
}
