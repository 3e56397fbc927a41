"""The Pulumi plugin: a thin translation of the core, `avma`, into Pulumi's provider protocol.

It knows gRPC, protobuf and Pulumi. It must not know Windows, licensing or how a machine is reached.
"""

__version__ = "0.1.0"

PACKAGE = "avma"
"""The name of the Pulumi package, with which all its tokens and configuration keys begin."""

GO_MODULE = "github.com/OWNER/pulumi-avma/sdk/go"
"""The path of the Go module.

To publish under another owner, replace OWNER here and in the pages that a test then lists, and run `make docs sdk`.
"""
