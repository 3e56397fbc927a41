package main

import (
	"github.com/OWNER/pulumi-avma/sdk/go/avma"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func main() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		standard2022, err := avma.GetAvmaKey(ctx, &avma.GetAvmaKeyArgs{
			Version: avma.Version_2022,
			Edition: avma.EditionStandard,
		}, nil)
		if err != nil {
			return err
		}
		ctx.Export("productKey", pulumi.String(standard2022.ProductKey))
		return nil
	})
}
