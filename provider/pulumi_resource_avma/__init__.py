"""The Pulumi plugin: a thin layer between the core, `avma`, and Pulumi's provider protocol."""

__version__ = "0.1.0"

PACKAGE = "avma"
"""The name of the Pulumi package and the prefix of its tokens and configuration keys."""

GO_MODULE = "github.com/OWNER/pulumi-avma/sdk/go"
"""The path of the Go module.

To publish under another owner, replace OWNER here and run `make docs sdk`. A test then lists the pages to change.
"""
