//go:build inline

package main

import (
	"context"
	"fmt"
	"os"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
)

// With the tag `inline` the program runs inline by Pulumi's Automation API: `program PROJECT up|preview|destroy`.
func main() {
	if err := inline(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func inline(ctx context.Context, project, step string) error {
	stack, err := auto.SelectStackInlineSource(ctx, "dev", "estate", quickstart, auto.WorkDir(project))
	if err != nil {
		return err
	}
	switch step {
	case "up":
		_, err = stack.Up(ctx, optup.ProgressStreams(os.Stdout))
	case "preview":
		_, err = stack.Preview(ctx, optpreview.ExpectNoChanges(), optpreview.ProgressStreams(os.Stdout))
	case "destroy":
		_, err = stack.Destroy(ctx, optdestroy.ProgressStreams(os.Stdout))
	}
	return err
}
