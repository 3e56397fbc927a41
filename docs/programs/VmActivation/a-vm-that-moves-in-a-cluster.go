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
		cl01, err := avma.NewClusterLicense(ctx, "cl01", &avma.ClusterLicenseArgs{
			Cluster: pulumi.String("cl01.example.com"),
		})
		if err != nil {
			return err
		}
		_, err = avma.NewVmActivation(ctx, "web01", &avma.VmActivationArgs{
			Hosts: pulumi.StringArray{
				pulumi.String("hv01.example.com"),
				pulumi.String("hv02.example.com"),
			},
			VmName: pulumi.String("web01"),
			Guest: &avma.GuestArgs{
				Transport: avma.TransportWinrm,
				Username:  pulumi.String("Administrator"),
				Password:  guestPassword,
			},
			OnDelete: avma.GuestOnDeleteRestoreKmsClientKey,
		}, pulumi.DependsOn([]pulumi.Resource{
			cl01,
		}))
		if err != nil {
			return err
		}
		return nil
	})
}
